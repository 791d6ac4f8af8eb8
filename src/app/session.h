#pragma once

#include "app/settings.h"

#include <signalllm/data/corpus.h>
#include <signalllm/data/tokenizer.h>
#include <signalllm/training/checkpoint.h>

#include <memory>
#include <string>

namespace signalllm::app {

/// "auto", "cpu", "mps", "cuda" to a device that is there; throws otherwise.
c10::Device choose_device(const std::string& name);
/// 0 leaves torch's choice, one thread a core.
void set_threads(int64_t threads);

data::Corpus read_text(const Settings& settings);

/// A model with its weights drawn, or loaded, on the device and with the fused
/// operators.
SignalLLM make_model(const SignalLLMOptions& options, c10::Device device);

/// The tokenizer that a run was trained with. Throws naming the file where it
/// is damaged or has another vocabulary than the model.
std::shared_ptr<data::Tokenizer> load_tokenizer(
    const training::RunFolder& folder,
    const SignalLLMOptions& model);

/// A trained model, to score or to write with.
struct TrainedModel {
  SignalLLM model{nullptr};
  std::shared_ptr<data::Tokenizer> tokenizer;
  Settings settings;
  int64_t step = 0;
};

/// Which weights of a run.
struct WeightsChoice {
  /// "averaged", "last", or empty for the averaged ones where there are some.
  std::string kind;
  /// Of which checkpoint; -1 for the newest that is whole, with --patience for
  /// the one of the lowest held-out loss.
  int64_t step = -1;
};

/// The model of a run. Says on stderr which newer checkpoints are damaged, and
/// throws where there is none of that step or weight.
TrainedModel load_run(
    const std::string& folder,
    c10::Device device,
    const WeightsChoice& choice = {});

void report_damage(const std::vector<std::string>& problems);

/// The folder of the next run: `runs/NAME`, `runs/NAME-2`, ...
std::string next_folder(const std::string& name);

} // namespace signalllm::app
