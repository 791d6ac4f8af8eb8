#pragma once

#include <signalllm/data/windows.h>
#include <signalllm/export.h>
#include <signalllm/training/distributed.h>

#include <torch/arg.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>

namespace signalllm::training {

/// Tokens `[rows, context]` int64 to logits `[rows, context, vocabulary]`.
using Forward = std::function<at::Tensor(const at::Tensor& tokens)>;

/// Cross entropy in nats, averaged over all tokens, computed in float32.
SIGNALLLM_API at::Tensor token_loss(
    const at::Tensor& logits,
    const at::Tensor& targets);

/// What a model says about a text.
struct SIGNALLLM_API Evaluation {
  double nats = 0; // summed over the tokens
  int64_t tokens = 0;
  int64_t bytes = 0; // that these tokens stand for

  /// Nats per token.
  double loss() const;
  double perplexity() const;
  double bits_per_byte() const;
};

struct SIGNALLLM_API EvaluateOptions {
  EvaluateOptions() = default;

  /// Windows that go through the model at once.
  TORCH_ARG(int64_t, batch) = 32;
  TORCH_ARG(bool, bfloat16) = false;
  /// Looked at between batches; true ends the evaluation early, with what was
  /// scored by then.
  TORCH_ARG(std::function<bool()>, stop) = {};
  /// Those that share the windows; `evaluate` is then collective, and all get
  /// the same result. Null: this one scores all.
  TORCH_ARG(std::shared_ptr<Processes>, processes) = nullptr;
};

/// Scores every window, in evaluation mode and without gradients; the model's
/// mode is put back. `token_bytes` is `Tokenizer::token_bytes()`.
SIGNALLLM_API Evaluation evaluate(
    torch::nn::Module& model,
    const Forward& forward,
    const data::ConsecutiveWindows& windows,
    const at::Tensor& token_bytes,
    const EvaluateOptions& options = {});

} // namespace signalllm::training
