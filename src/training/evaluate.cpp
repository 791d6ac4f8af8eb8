#include <signalllm/training/evaluate.h>

#include "training/autocast.h"
#include "training/device.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace signalllm::training {

at::Tensor token_loss(const at::Tensor& logits, const at::Tensor& targets) {
  TORCH_CHECK(
      logits.dim() == targets.dim() + 1,
      "token_loss: logits of shape ",
      logits.sizes(),
      " for targets of shape ",
      targets.sizes());
  return at::cross_entropy_loss(
      logits.reshape({-1, logits.size(-1)}).to(at::kFloat),
      targets.reshape({-1}));
}

namespace {

/// Of this process's part makes that of all.
void add_up(Evaluation& part, Processes& processes) {
  const auto sums = at::tensor(
      {part.nats,
       static_cast<double>(part.tokens),
       static_cast<double>(part.bytes)},
      at::kDouble);
  processes.sum(sums);
  const auto* values = sums.const_data_ptr<double>();
  part.nats = values[0];
  part.tokens = std::llround(values[1]);
  part.bytes = std::llround(values[2]);
}

} // namespace

double Evaluation::loss() const {
  return nats / static_cast<double>(tokens);
}

double Evaluation::perplexity() const {
  return std::exp(loss());
}

double Evaluation::bits_per_byte() const {
  return nats / std::numbers::ln2 / static_cast<double>(bytes);
}

Evaluation evaluate(
    torch::nn::Module& model,
    const Forward& forward,
    const data::ConsecutiveWindows& windows,
    const at::Tensor& token_bytes,
    const EvaluateOptions& options) {
  at::NoGradGuard no_grad;
  const auto device = device_of(model);
  const bool was_training = model.is_training();
  model.eval();
  Evaluation result;
  std::vector<at::Tensor> sums;
  auto* processes = options.processes().get();
  const int64_t rank = processes != nullptr ? processes->rank() : 0;
  const int64_t count = processes != nullptr ? processes->count() : 1;
  for (int64_t first = rank * options.batch(); first < windows.size();
       first += count * options.batch()) {
    if (options.stop() && options.stop()()) {
      break;
    }
    const auto batch = windows.rows(first, options.batch());
    const auto tokens = batch.targets.numel();
    Autocast autocast(device.type(), options.bfloat16());
    const auto logits = forward(batch.inputs.to(device));
    sums.push_back(
        token_loss(logits, batch.targets.to(device)) *
        static_cast<double>(tokens));
    result.tokens += tokens;
    result.bytes += token_bytes.index_select(0, batch.targets.reshape({-1}))
                        .sum()
                        .item<int64_t>();
  }
  if (!sums.empty()) {
    result.nats =
        at::stack(sums).to(at::kCPU).to(at::kDouble).sum().item<double>();
  }
  if (processes != nullptr) {
    add_up(result, *processes);
  }
  model.train(was_training);
  return result;
}

} // namespace signalllm::training
