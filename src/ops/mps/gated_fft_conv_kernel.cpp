// One launch forward, two backward, for lengths whose transforms fit into
// threadgroup memory: 2,048 forward and 1,024 backward. Longer signals are
// composed of torch's FFTs.
#include "ops/gated_fft_conv.h"
#include "ops/mps/library.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <algorithm>
#include <bit>
#include <string>

namespace signalllm::mps {
namespace {

/// As in gated_fft_conv.metal.
struct GatedFftConv {
  int32_t length, channels, taps, n, bits, has_skip;
};

/// Values of a transform that the kernels are made for.
constexpr int64_t small = 512, large = 4096, large_backward = 2048;

bool takes(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    int64_t most) {
  constexpr int64_t indices = int64_t{1} << 30;
  return input.numel() > 0 && 2 * input.size(1) <= most &&
      input.numel() + input.size(0) * input.size(2) < indices &&
      kernel.numel() < indices &&
      (!skip || skip->scalar_type() == kernel.scalar_type());
}

GatedFftConv parameters(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  GatedFftConv p{};
  p.length = static_cast<int32_t>(input.size(1));
  p.channels = static_cast<int32_t>(input.size(2));
  p.taps = static_cast<int32_t>(kernel.size(0));
  p.n =
      static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(2 * p.length)));
  p.bits = std::countr_zero(static_cast<uint32_t>(p.n));
  p.has_skip = skip.has_value();
  return p;
}

Grid grid_of(const GatedFftConv& p, const at::Tensor& input) {
  Grid grid;
  grid.x = p.channels;
  grid.y = input.size(0);
  grid.threads = std::clamp(p.n / 2, 32, 256);
  return grid;
}

std::string sized(const char* name, const GatedFftConv& p, int64_t most) {
  return std::string(name) + "_" + std::to_string(p.n <= small ? small : most);
}

at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& taps,
    const std::optional<at::Tensor>& skip) {
  ops::check_gated_fft_conv(
      "gated_fft_conv", input, gate_in, gate_out, taps, skip);
  Kernel k;
  GatedFftConv p{};
  if (takes(input, taps, skip, large)) {
    p = parameters(input, taps, skip);
    k = kernel(
        sized("gated_fft_conv", p, large),
        input.scalar_type(),
        taps.scalar_type());
  }
  if (!k) {
    return ops::composite::gated_fft_conv(input, gate_in, gate_out, taps, skip);
  }
  auto out = at::empty(input.sizes(), input.options());
  const auto t = taps.contiguous();
  launch(
      k,
      grid_of(p, input),
      out,
      input.contiguous(),
      gate_in.contiguous(),
      gate_out.contiguous(),
      t,
      skip ? skip->contiguous() : t,
      p);
  return out;
}

ops::FiveTensors gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& taps,
    const std::optional<at::Tensor>& skip) {
  ops::check_gated_fft_conv(
      "gated_fft_conv_backward", input, gate_in, gate_out, taps, skip);
  Kernel k;
  GatedFftConv p{};
  if (takes(input, taps, skip, large_backward) &&
      grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device()) {
    p = parameters(input, taps, skip);
    k = kernel(
        sized("gated_fft_conv_backward", p, large_backward),
        input.scalar_type(),
        taps.scalar_type());
  }
  const auto sum =
      k ? kernel("gated_fft_conv_sum", taps.scalar_type()) : nullptr;
  if (!sum) {
    return ops::composite::gated_fft_conv_backward(
        grad, input, gate_in, gate_out, taps, skip);
  }
  const auto like = [](const at::Tensor& t) {
    return at::empty(t.sizes(), t.options());
  };
  auto dx = like(input), dgate_in = like(input), dgate_out = like(input);
  auto dtaps = like(taps);
  auto dskip = at::empty({p.channels}, taps.options());
  const auto shares = at::empty(
      {input.size(0), std::min(p.taps, p.length) + 1, p.channels},
      input.options().dtype(at::kFloat));
  const auto t = taps.contiguous();
  launch(
      k,
      grid_of(p, input),
      dx,
      dgate_in,
      dgate_out,
      shares,
      grad.contiguous(),
      input.contiguous(),
      gate_in.contiguous(),
      gate_out.contiguous(),
      t,
      skip ? skip->contiguous() : t,
      p);
  Grid values;
  values.threads = std::min<uint64_t>(256, sum->getMaxThreadsPerThreadgroup());
  values.x = ((p.taps + int64_t{1}) * p.channels + values.threads - 1) /
      values.threads;
  launch(
      sum,
      values,
      dtaps,
      dskip,
      shares,
      p,
      static_cast<int32_t>(input.size(0)));
  return {dx, dgate_in, dgate_out, dtaps, dskip};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("gated_fft_conv", &gated_fft_conv);
  m.impl("gated_fft_conv_backward", &gated_fft_conv_backward);
}

} // namespace signalllm::mps
