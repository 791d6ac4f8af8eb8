#include "nn/level_filters.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/constant_pad_nd.h>

namespace signalllm {

at::Tensor level_filters(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    at::Tensor (*filter)(const at::Tensor&, const at::Tensor&, int64_t)) {
  const auto length = input.size(1), channels = input.size(2);
  auto now = input.to(weight.scalar_type());
  auto sum = now * weight.select(1, 0);
  const auto levels = lo.size(0);
  for (int64_t level = 0; level < levels; ++level) {
    const auto dilation = int64_t{1} << level;
    const auto taps = [&](const at::Tensor& all) {
      return all.select(0, level).expand({channels, all.size(-1)});
    };
    if (dilation >= length) { // only tap 0 is within the sequence
      const auto present = [&](const at::Tensor& all) {
        return now * taps(all).select(1, 0);
      };
      sum = sum + present(hi) * weight.select(1, level + 1);
      now = present(lo);
      continue;
    }
    // Zeros after the end reach no output that is kept.
    const auto rows = (length + dilation - 1) / dilation;
    const auto phases =
        at::constant_pad_nd(now, {0, 0, 0, rows * dilation - length})
            .view({-1, rows, dilation * channels});
    const auto filtered = [&](const at::Tensor& all) {
      return filter(phases, taps(all).repeat({dilation, 1}), 1)
          .view({-1, rows * dilation, channels})
          .slice(1, 0, length);
    };
    sum = at::addcmul(sum, filtered(hi), weight.select(1, level + 1));
    now = filtered(lo).contiguous();
  }
  sum = at::addcmul(sum, now, weight.select(1, levels + 1));
  return sum.to(input.scalar_type());
}

} // namespace signalllm
