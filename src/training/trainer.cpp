#include <signalllm/training/trainer.h>

#include "training/autocast.h"
#include "training/device.h"
#include "training/divergence.h"
#include "training/random_state.h"
#include "training/recording.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>

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

TensorMap copies(const torch::nn::Module& model) {
  TensorMap copies;
  for (const auto& item : model.named_parameters()) {
    copies[item.key()] = item.value().detach().clone();
  }
  return copies;
}

std::vector<double> read(const std::vector<at::Tensor>& scalars) {
  const auto values =
      at::stack(scalars).to(at::kCPU).to(at::kDouble).contiguous();
  const auto* start = values.const_data_ptr<double>();
  return {start, start + values.numel()};
}

} // namespace

Trainer::Trainer(
    std::shared_ptr<torch::nn::Module> model,
    Forward forward,
    data::RandomWindows windows,
    TrainerOptions options)
    : model_(std::move(model)), forward_(std::move(forward)),
      windows_(std::move(windows)), options_(std::move(options)),
      device_(device_of(*model_)),
      optimizer_(*model_, options_.adamw(), options_.has_decay()) {
  TORCH_CHECK(
      options_.batch() >= 1 && options_.accumulate() >= 1,
      "Trainer: batch is ",
      options_.batch(),
      " and accumulate ",
      options_.accumulate(),
      "; both must be at least 1");
  TORCH_CHECK(
      options_.average() >= 0 && options_.average() < 1,
      "Trainer: average is ",
      options_.average(),
      "; it must be at least 0 and below 1");
  if (options_.average() > 0) {
    average_ = copies(*model_);
  }
  if (options_.record()) {
    recording_ = make_recording(device_);
  }
}

at::Tensor Trainer::on_device(const at::Tensor& tensor) const {
  // From pageable memory CUDA would wait for the copy; on MPS a copy that is
  // not waited for reads memory that may be gone.
  return device_.is_cuda()
      ? tensor.pin_memory().to(device_, /*non_blocking=*/true)
      : tensor.to(device_);
}

template <typename Rate>
std::pair<at::Tensor, at::Tensor> Trainer::update(
    const at::Tensor& inputs,
    const at::Tensor& targets,
    const Rate& rate) {
  at::Tensor total;
  for (int64_t i = 0; i < options_.accumulate(); ++i) {
    const auto first = i * options_.batch();
    at::Tensor loss;
    {
      Autocast autocast(device_.type(), options_.bfloat16());
      loss = token_loss(
          forward_(inputs.narrow(0, first, options_.batch())),
          targets.narrow(0, first, options_.batch()));
    }
    loss = loss / static_cast<double>(options_.accumulate());
    loss.backward();
    total = total.defined() ? total + loss.detach() : loss.detach();
  }
  const auto norm = optimizer_.step(rate);
  optimizer_.zero_grad();
  return {total, norm};
}

void Trainer::step() {
  model_->train();
  const auto rows = options_.batch() * options_.accumulate();
  const auto batch = windows_.rows(rows_done_, rows);
  rows_done_ += rows;
  tokens_ += batch.targets.numel();
  const double rate = learning_rate(options_.schedule(), steps_done_);
  if (recording_) {
    step_recorded(batch, rate);
  } else {
    const auto [loss, norm] =
        update(on_device(batch.inputs), on_device(batch.targets), rate);
    losses_.push_back(loss);
    norms_.push_back(norm);
  }
  ++steps_done_;
  if (!average_.empty()) {
    update_average();
  }
}

void Trainer::step_recorded(const data::Batch& batch, double rate) {
  if (!inputs_.defined()) {
    inputs_ = at::empty_like(batch.inputs, at::device(device_));
    targets_ = at::empty_like(inputs_);
    rate_ = at::empty({}, at::device(device_).dtype(at::kFloat));
  }
  inputs_.copy_(on_device(batch.inputs));
  targets_.copy_(on_device(batch.targets));
  rate_.fill_(rate);
  const auto work = [this] {
    std::tie(loss_, norm_) = update(inputs_, targets_, rate_);
  };
  if (rehearsals_ < 3) { // these steps count
    ++rehearsals_;
    recording_->rehearse(work);
  } else {
    if (!recorded_) {
      try {
        recording_->record(work);
        recorded_ = true;
      } catch (const c10::Error& error) {
        TORCH_WARN(
            "a step cannot be recorded, training goes on without: ",
            error.what_without_backtrace());
        optimizer_.zero_grad();
      }
    }
    if (recorded_) {
      recording_->replay();
    } else {
      recording_.reset();
      work();
    }
  }
  losses_.push_back(loss_.clone());
  norms_.push_back(norm_.clone());
}

void Trainer::update_average() {
  at::NoGradGuard no_grad;
  // The usual correction: early on, less memory of the random start.
  const double decay = std::min(
      options_.average(),
      (1.0 + static_cast<double>(steps_done_)) /
          (10.0 + static_cast<double>(steps_done_)));
  std::vector<at::Tensor> averages, parameters;
  for (const auto& item : model_->named_parameters()) {
    averages.push_back(average_.at(item.key()));
    parameters.push_back(item.value());
  }
  at::_foreach_lerp_(averages, parameters, 1 - decay);
}

StepReport Trainer::report() {
  auto report = review();
  // A divergence shows in the loss; what to do about it is the caller's.
  TORCH_CHECK(
      std::isfinite(report.loss), report.trouble, ": ", loss_advice(options_));
  return report;
}

StepReport Trainer::review() {
  StepReport report;
  report.step = steps_done_;
  report.learning_rate =
      learning_rate(options_.schedule(), std::max<int64_t>(steps_done_ - 1, 0));
  report.tokens = std::exchange(tokens_, 0);
  if (losses_.empty()) {
    return report;
  }
  const auto losses = read(std::exchange(losses_, {}));
  const auto norms = read(std::exchange(norms_, {}));
  const auto count = static_cast<int64_t>(losses.size());
  for (int64_t i = 0; i < count; ++i) {
    const auto step = steps_done_ - count + i + 1;
    if (report.trouble.empty()) {
      report.trouble =
          loss_trouble(recent_, losses[i], step, options_.divergence());
      report.trouble_step = report.trouble.empty() ? 0 : step;
    }
    if (std::isfinite(losses[i])) {
      recent_.push_back(losses[i]);
    }
    if (recent_.size() > remembered_losses) {
      recent_.erase(recent_.begin());
    }
    report.loss += losses[i] / static_cast<double>(count);
    report.skipped += std::isfinite(norms[i]) ? 0 : 1;
  }
  report.gradient_norm = norms.back();
  return report;
}

Evaluation Trainer::evaluate(
    const data::ConsecutiveWindows& windows,
    const at::Tensor& token_bytes,
    EvaluateOptions options) {
  const Substitution averaged(*model_, average_);
  options.bfloat16(options_.bfloat16());
  return training::evaluate(*model_, forward_, windows, token_bytes, options);
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

void Trainer::restore(const Checkpoint& checkpoint) {
  const auto state = nlohmann::json::parse(checkpoint.state, nullptr, false);
  TORCH_CHECK(
      state.is_object() && state.contains("rows"),
      "Trainer::restore: the checkpoint does not say where in the data it was");
  load_module(*model_, checkpoint.model);
  optimizer_.load_state(checkpoint.optimizer);
  restore_random_state(checkpoint.optimizer, device_);
  at::NoGradGuard no_grad;
  for (auto& [name, tensor] : average_) {
    // A run that starts to average now starts from the weights.
    const auto found = checkpoint.average.find(name);
    tensor.copy_(
        found != checkpoint.average.end() ? found->second
                                          : checkpoint.model.at(name));
  }
  steps_done_ = checkpoint.step;
  rows_done_ = state["rows"].get<int64_t>();
  recent_ = state.value("losses", std::vector<double>());
  rollbacks_ = state.value("rollbacks", int64_t{0});
  rollback_step_ = state.value("rollback_step", int64_t{0});
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
