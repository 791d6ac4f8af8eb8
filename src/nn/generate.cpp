#include <signalllm/nn/generate.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/rand.h>

#include <limits>

namespace signalllm {

namespace {

at::Tensor keep_top_k(const at::Tensor& logits, int64_t k) {
  auto least = std::get<0>(logits.topk(k, -1)).slice(-1, k - 1);
  return logits.masked_fill(
      logits < least, -std::numeric_limits<double>::infinity());
}

/// Zeroes what lies beyond the likeliest tokens that reach `p` together.
at::Tensor keep_top_p(const at::Tensor& probabilities, double p) {
  auto [sorted, order] = probabilities.sort(-1, /*descending=*/true);
  auto before = sorted.cumsum(-1) - sorted;
  auto kept = sorted.masked_fill(before >= p, 0);
  return probabilities.new_zeros(probabilities.sizes())
      .scatter(-1, order, kept);
}

} // namespace

at::Tensor sample(
    const at::Tensor& logits,
    const GenerateOptions& options,
    std::optional<at::Generator> generator) {
  TORCH_CHECK(
      logits.dim() == 2 && logits.size(1) >= 1,
      "sample: logits have shape ",
      logits.sizes(),
      ", they must be [batch, vocabulary]");
  TORCH_CHECK(
      options.temperature() >= 0,
      "sample: temperature is ",
      options.temperature(),
      ", it must not be negative");
  TORCH_CHECK(
      options.top_k() >= 0,
      "sample: top_k is ",
      options.top_k(),
      ", it must be positive, or 0 for all tokens");
  TORCH_CHECK(
      options.top_p() > 0 && options.top_p() <= 1,
      "sample: top_p is ",
      options.top_p(),
      ", allowed is 0 < top_p <= 1");
  // Elsewhere the look at the values would wait for the device.
  TORCH_CHECK(
      !logits.is_cpu() || !logits.isnan().any().item<bool>(),
      "sample: logits contain NaN");
  if (options.temperature() == 0) {
    return logits.argmax(-1);
  }
  auto scaled = logits.detach().to(at::kFloat);
  scaled = (scaled - scaled.amax(-1, true)) / options.temperature();
  if (options.top_k() > 0 && options.top_k() < logits.size(1)) {
    scaled = keep_top_k(scaled, options.top_k());
  }
  auto probabilities = scaled.softmax(-1);
  if (options.top_p() < 1) {
    probabilities = keep_top_p(probabilities, options.top_p());
  }
  auto cumulative = probabilities.cumsum(-1);
  auto total = cumulative.slice(-1, logits.size(1) - 1);
  // A little less than 1, so that the product rounds to less than the total.
  constexpr double below_one = 1 - 0x1p-23;
  // From pageable memory CUDA would wait for the copy.
  const auto uniform = at::rand(
      {logits.size(0), 1},
      generator,
      at::dtype(at::kFloat).pinned_memory(logits.is_cuda()));
  const auto threshold =
      uniform.to(logits.device(), /*non_blocking=*/logits.is_cuda()) *
      below_one * total;
  // The first possible token beyond the threshold: a running sum that is not
  // quite monotone, as parallel scans give, cannot pick an impossible one.
  auto beyond = (cumulative > threshold).logical_and(probabilities > 0);
  auto skipped = beyond.to(at::kInt).cumsum(-1).eq(0).sum(-1);
  return skipped.clamp_max(logits.size(1) - 1);
}

} // namespace signalllm
