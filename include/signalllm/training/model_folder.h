#pragma once

#include <signalllm/data/tokenizer.h>
#include <signalllm/export.h>
#include <signalllm/nn/model.h>

#include <torch/arg.h>

#include <memory>
#include <string>

namespace signalllm::training {

/// Options for `export_model`.
struct SIGNALLLM_API ExportOptions {
  /// Of the parameters: float32, bfloat16 or float16. What is computed and not
  /// learned (buffers) stays float32.
  TORCH_ARG(at::ScalarType, dtype) = at::kFloat;
  /// Also writes `example.safetensors`: random `tokens` `[1, max_length]` and
  /// the `logits` `[1, max_length, vocab_size]` of the weights as written, for
  /// readers to check themselves with.
  TORCH_ARG(bool, example) = false;
  /// Takes the place of a model that is there.
  TORCH_ARG(bool, replace) = false;
};

/// Writes a model as a folder that other programs read:
/// ```
/// model.safetensors   parameters and buffers under their names
/// config.json         "model_type": "signalllm" and every option by name
/// tokenizer.json      `Tokenizer::to_json`; of SentencePiece also the
/// tokenizer.model     file that its own library reads
/// ```
/// The folder appears whole or not at all. Throws `c10::Error` where there is
/// something already (but an empty folder), where a model that is to be
/// replaced stands among other files, and for weights that the dtype cannot
/// hold, naming them.
SIGNALLLM_API void export_model(
    const std::string& folder,
    const SignalLLM& model,
    const data::Tokenizer& tokenizer,
    const ExportOptions& options = {});

/// What `import_model` reads.
struct SIGNALLLM_API ImportedModel {
  /// In evaluation mode, float32, on the CPU.
  SignalLLM model{nullptr};
  std::shared_ptr<data::Tokenizer> tokenizer;
};

/// Reads a folder that `export_model` or another program wrote. Options that
/// config.json leaves out keep their defaults, its values may be texts or the
/// numbers themselves, and weights may be float32, float64, bfloat16 or
/// float16. `tokenizer` is for a folder without one. Throws `c10::Error` that
/// names the file, and the key or tensor that is unknown, missing or does not
/// fit.
SIGNALLLM_API ImportedModel import_model(
    const std::string& folder,
    std::shared_ptr<data::Tokenizer> tokenizer = nullptr);

} // namespace signalllm::training
