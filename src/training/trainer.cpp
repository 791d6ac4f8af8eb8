#include <signalllm/training/trainer.h>

#include "training/autocast.h"
#include "training/device.h"
#include "training/divergence.h"
#include "training/gradient_reduction.h"
#include "training/recording.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>
#include <c10/util/hash.h>

#include <cmath>
#include <utility>

namespace signalllm::training {
namespace {

TensorMap copies(const torch::nn::Module& model) {
  TensorMap copies;
  for (const auto& item : model.named_parameters()) {
    copies[item.key()] = item.value().detach().clone();
  }
  return copies;
}

std::vector<double> read(const at::Tensor& scalars) {
  const auto values = scalars.to(at::kCPU).to(at::kDouble).contiguous();
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
      count_(options_.processes() ? options_.processes()->count() : 1),
      local_batch_(options_.batch() / count_),
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
  TORCH_CHECK(
      options_.batch() % count_ == 0,
      "Trainer: batch is ",
      options_.batch(),
      "; it must be a multiple of the ",
      count_,
      " processes that share it");
  if (options_.average() > 0) {
    average_ = copies(*model_);
  }
  if (count_ > 1) {
    share();
    reduction_ =
        std::make_shared<GradientReduction>(options_.processes(), *model_);
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
    const auto first = i * local_batch_;
    const bool reduce = reduction_ && i + 1 == options_.accumulate();
    if (reduce) {
      reduction_->begin();
    }
    at::Tensor loss;
    {
      Autocast autocast(device_.type(), options_.bfloat16());
      loss = token_loss(
          forward_(inputs.narrow(0, first, local_batch_)),
          targets.narrow(0, first, local_batch_));
    }
    loss = loss / static_cast<double>(options_.accumulate());
    if (reduce) {
      reduction_->backward(loss);
    } else {
      loss.backward();
    }
    total = total.defined() ? total + loss.detach() : loss.detach();
  }
  const auto norm = optimizer_.step(rate);
  optimizer_.zero_grad();
  return {total, norm};
}

data::Batch Trainer::next_rows() {
  const auto start = rows_done_;
  const auto rows = options_.batch() * options_.accumulate();
  rows_done_ += rows;
  if (count_ == 1) {
    return windows_.rows(start, rows);
  }
  const auto mine = options_.processes()->rank() * local_batch_;
  std::vector<at::Tensor> inputs, targets;
  for (int64_t i = 0; i < options_.accumulate(); ++i) {
    const auto part =
        windows_.rows(start + i * options_.batch() + mine, local_batch_);
    inputs.push_back(part.inputs);
    targets.push_back(part.targets);
  }
  return {at::cat(inputs), at::cat(targets)};
}

void Trainer::set_random_state() {
  // Of seed, step and process, so that one checkpoint serves all.
  at::manual_seed(
      c10::get_hash(windows_.seed(), rows_done_, options_.processes()->rank()));
}

void Trainer::step() {
  model_->train();
  const auto batch = next_rows();
  tokens_ += batch.targets.numel() * count_;
  if (count_ > 1) {
    set_random_state();
  }
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
  // These steps count. The Reducer times its first ten steps with events,
  // which a recording cannot hold.
  if (rehearsals_ < (reduction_ ? 12 : 3)) {
    ++rehearsals_;
    recording_->rehearse(work);
  } else {
    if (!recorded_) {
      try {
        recording_->record(work);
        recorded_ = true;
      } catch (const c10::Error& error) {
        TORCH_CHECK(
            !reduction_,
            "a step of several processes cannot be recorded: ",
            error.what_without_backtrace(),
            "; --record false trains without");
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
  auto stacked = at::stack(std::exchange(losses_, {}));
  if (count_ > 1) {
    options_.processes()->sum(stacked);
    stacked /= count_;
  }
  const auto losses = read(stacked);
  const auto norms = read(at::stack(std::exchange(norms_, {})));
  const auto count = static_cast<int64_t>(losses.size());
  report.steps = count;
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

std::optional<Reduction> Trainer::reduction() const {
  return reduction_ && steps_done_ > 1 ? std::optional(reduction_->report())
                                       : std::nullopt;
}

} // namespace signalllm::training
