// One launch forward; backward one for the input's gradient and the shares of
// the taps', and one that adds the shares in their order.
#include "ops/causal_filter.h"
#include "ops/mps/library.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

/// As in causal_filter.metal.
struct CausalFilter {
  uint32_t batch, length, channels, width, taps, rows;
};

/// Positions of one group of the backward kernel.
constexpr int64_t kRows = 64;

CausalFilter
parameters(const at::Tensor& x, const at::Tensor& taps, int64_t parts) {
  const auto size = [](int64_t n) { return static_cast<uint32_t>(n); };
  return {
      size(x.size(0)),
      size(x.size(1)),
      size(x.size(2)),
      size(x.size(2) / parts),
      size(taps.size(1)),
      size(kRows)};
}

/// Whether the kernels' indices, 32 bits wide, suffice.
bool takes(const at::Tensor& x, const at::Tensor& taps) {
  constexpr int64_t most = int64_t{1} << 31;
  return x.numel() > 0 && x.numel() < most && taps.numel() < most &&
      x.numel() / kRows * taps.size(1) < most;
}

Grid channels_by(const CausalFilter& p, uint64_t positions) {
  Grid grid;
  grid.threads = std::min<uint64_t>(256, (p.channels + 31) / 32 * 32);
  grid.x = (p.channels + grid.threads - 1) / grid.threads;
  grid.y = positions;
  grid.z = p.batch;
  return grid;
}

at::Tensor
causal_filter(const at::Tensor& input, const at::Tensor& taps, int64_t parts) {
  ops::check_causal_filter("causal_filter", input, taps, parts);
  const auto k = takes(input, taps)
      ? kernel("causal_filter", input.scalar_type(), taps.scalar_type())
      : nullptr;
  if (!k) {
    return ops::composite::causal_filter(input, taps, parts);
  }
  auto sizes = input.sizes().vec();
  if (parts > 1) {
    sizes.back() /= parts;
    sizes.insert(sizes.begin(), parts);
  }
  const auto out = at::empty(sizes, input.options());
  const auto p = parameters(input, taps, parts);
  launch(
      k,
      channels_by(p, p.length),
      out,
      input.contiguous(),
      taps.contiguous(),
      p);
  return out;
}

std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  ops::check_causal_filter("causal_filter_backward", input, taps, parts);
  const bool usual = takes(input, taps) && grad.numel() == input.numel() &&
      grad.dim() == (parts > 1 ? 4 : 3) && grad.device() == input.device() &&
      grad.scalar_type() == input.scalar_type();
  const auto k = usual
      ? kernel(
            "causal_filter_backward", input.scalar_type(), taps.scalar_type())
      : nullptr;
  const auto sum =
      k ? kernel("causal_filter_sum", taps.scalar_type()) : nullptr;
  if (!sum) {
    return ops::composite::causal_filter_backward(grad, input, taps, parts);
  }
  const auto out = at::empty(input.sizes(), input.options());
  const auto gradient = at::empty(taps.sizes(), taps.options());
  const auto p = parameters(input, taps, parts);
  const auto grid = channels_by(p, (p.length + kRows - 1) / kRows);
  const auto count = static_cast<uint32_t>(grid.y * grid.z);
  const auto shares = at::empty(
      {count, taps.size(1), input.size(2)}, taps.options().dtype(at::kFloat));
  launch(
      k,
      grid,
      out,
      shares,
      grad.contiguous(),
      input.contiguous(),
      taps.contiguous(),
      p);
  Grid pairs;
  pairs.x = (taps.numel() + pairs.threads - 1) / pairs.threads;
  launch(sum, pairs, gradient, shares, p, count);
  return {out, gradient};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("causal_filter", &causal_filter);
  m.impl("causal_filter_backward", &causal_filter_backward);
}

} // namespace signalllm::mps
