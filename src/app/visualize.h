#pragma once

#include <signalllm/data/tokenizer.h>
#include <signalllm/nn/model.h>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

/// What `signalllm visualize` has drawn, as JSON.
namespace signalllm::app {

using Json = nlohmann::ordered_json;

/// The numbers of a tensor: an array, or for a matrix an array of its rows.
Json numbers(const at::Tensor& tensor);

/// The wavelet transforms at the lengths 64 to 1,024: a signal with its
/// coefficients and back ("signals"), errors of reconstruction ("errors"), the
/// seconds of the standard and the optimized module ("times", measured for
/// `seconds` at each length) and the operators that standard and optimized
/// modules dispatch ("operators").
Json show_transforms(c10::Device device, double seconds);

/// A model to look into, and what it reads.
struct ShownModel {
  SignalLLM model{nullptr};
  std::shared_ptr<data::Tokenizer> tokenizer;
  /// What it is, for titles.
  std::string name;
  /// Tokens of a text of its kind, to count which are frequent.
  at::Tensor tokens;
  /// What the attention is shown over.
  std::string sentence;
};

/// A small model trained for `steps` steps on the Python source of torch.
ShownModel train_small_model(int64_t steps);

/// A run's model, over `text`, or over the start of what the run held out.
ShownModel load_model(const std::string& run, const std::string& text);

/// "attention", "filters", "kernels" and "embedding" of the model; null for
/// what it does not have.
Json show_model(const ShownModel& shown);

/// Whether the folder is one of `signalllm evolve`.
bool is_search(const std::string& run);

/// A search, from its history: its genomes ("individuals"), costs and losses of
/// the front after each generation ("fronts"), the best loss then
/// ("best_losses"), and the filters of the best and of the reference. Throws
/// where no generation is whole.
Json show_search(const std::string& run);

} // namespace signalllm::app
