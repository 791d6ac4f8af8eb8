#include <signalllm/training/trainer.h>

#include "training/random_state.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <utility>
#include <vector>

namespace signalllm::training {
namespace {

/// Puts other values into parameters while it lives.
class Substitution {
 public:
  Substitution(torch::nn::Module& model, const TensorMap& values) {
    for (auto& item : model.named_parameters()) {
      const auto found = values.find(item.key());
      if (found != values.end()) {
        saved_.emplace_back(item.value(), item.value().detach().clone());
        item.value().copy_(found->second);
      }
    }
  }
  ~Substitution() {
    for (auto& [parameter, value] : saved_) {
      parameter.copy_(value);
    }
  }
  Substitution(const Substitution&) = delete;
  Substitution& operator=(const Substitution&) = delete;

 private:
  at::NoGradGuard no_grad_;
  std::vector<std::pair<at::Tensor, at::Tensor>> saved_;
};

} // namespace

Evaluation Trainer::evaluate(
    const data::ConsecutiveWindows& windows,
    const at::Tensor& token_bytes,
    EvaluateOptions options) {
  const Substitution averaged(*model_, average_);
  options.bfloat16(options_.bfloat16()).processes(options_.processes());
  return training::evaluate(*model_, forward_, windows, token_bytes, options);
}

bool Trainer::first() const {
  return count_ == 1 || options_.processes()->first();
}

Checkpoint Trainer::checkpoint() const {
  Checkpoint checkpoint;
  checkpoint.step = steps_done_;
  checkpoint.model = module_tensors(*model_);
  checkpoint.average = average_;
  checkpoint.optimizer = optimizer_.state();
  checkpoint.optimizer.merge(random_state(device_));
  checkpoint.state = nlohmann::json{
      {"rows", rows_done_},
      {"losses", recent_},
      {"rollbacks", rollbacks_},
      {"rollback_step",
       rollback_step_}}.dump();
  return checkpoint;
}

void Trainer::load_counters(int64_t step, const std::string& text) {
  const auto state = nlohmann::json::parse(text);
  steps_done_ = step;
  rows_done_ = state["rows"].get<int64_t>();
  recent_ = state.value("losses", std::vector<double>());
  rollbacks_ = state.value("rollbacks", int64_t{0});
  rollback_step_ = state.value("rollback_step", int64_t{0});
}

void Trainer::load(const Checkpoint& checkpoint) {
  const auto state = nlohmann::json::parse(checkpoint.state, nullptr, false);
  TORCH_CHECK(
      state.is_object() && state.contains("rows"),
      "Trainer::restore: the checkpoint does not say where in the data it was");
  load_module(*model_, checkpoint.model);
  at::NoGradGuard no_grad;
  if (checkpoint.optimizer.empty()) {
    for (auto& [name, tensor] : optimizer_.state()) {
      at::Tensor(tensor).zero_(); // as one that has not stepped
    }
  } else {
    optimizer_.load_state(checkpoint.optimizer);
  }
  restore_random_state(checkpoint.optimizer, device_);
  for (auto& [name, tensor] : average_) {
    // A run that starts to average now starts from the weights.
    const auto found = checkpoint.average.find(name);
    tensor.copy_(
        found != checkpoint.average.end() ? found->second
                                          : checkpoint.model.at(name));
  }
  load_counters(checkpoint.step, checkpoint.state);
}

void Trainer::share() {
  const auto mine = checkpoint(); // the live tensors
  auto& processes = *options_.processes();
  const auto step = processes.share(std::to_string(mine.step));
  const auto state = processes.share(mine.state);
  std::vector<at::Tensor> tensors;
  for (const auto* part : {&mine.model, &mine.average, &mine.optimizer}) {
    for (const auto& [name, tensor] : *part) {
      if (!name.starts_with("random.")) {
        tensors.push_back(tensor);
      }
    }
  }
  processes.broadcast(tensors);
  load_counters(std::stoll(step), state);
}

void Trainer::restore(const Checkpoint& checkpoint) {
  if (first()) {
    load(checkpoint);
  }
  if (count_ > 1) {
    share();
  }
  tokens_ = 0;
  losses_.clear();
  norms_.clear();
}

void Trainer::roll_back(const Checkpoint& checkpoint) {
  constexpr int64_t far = int64_t{1} << 40; // more rows than a run reads
  const auto times = rollbacks_ + 1;
  restore(checkpoint);
  rollbacks_ = times;
  rollback_step_ = steps_done_;
  rows_done_ = rows_done_ % far + times * far;
}

} // namespace signalllm::training
