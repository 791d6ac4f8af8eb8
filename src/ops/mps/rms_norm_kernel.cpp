// One launch each way.
#include "ops/mps/library.h"
#include "ops/rms_norm.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

/// As in rms_norm.metal.
struct RmsNorm {
  int32_t rows, channels;
  float epsilon;
};

Kernel find(const char* name, const at::Tensor& input) {
  constexpr int64_t most = int64_t{1} << 30;
  return input.numel() > 0 && input.numel() < most
      ? kernel(name, input.scalar_type())
      : nullptr;
}

RmsNorm parameters(const at::Tensor& input, double epsilon) {
  const auto channels = input.size(-1);
  return {
      static_cast<int32_t>(input.numel() / channels),
      static_cast<int32_t>(channels),
      static_cast<float>(epsilon)};
}

/// A SIMD group a row; a kernel may get fewer threads than asked for, so that
/// the rows are those of what it gets.
Grid grid_of(const Kernel& k, const RmsNorm& p) {
  Grid grid;
  grid.threads = std::min<uint64_t>(256, k->getMaxThreadsPerThreadgroup());
  const auto each = grid.threads / 32;
  grid.x = (p.rows + each - 1) / each;
  return grid;
}

at::Tensor rms_norm(const at::Tensor& input, double epsilon) {
  ops::check_rms_norm("rms_norm", input, epsilon);
  const auto k = find("rms_norm", input);
  if (!k) {
    return ops::composite::rms_norm(input, epsilon);
  }
  const auto p = parameters(input, epsilon);
  auto out = at::empty(input.sizes(), input.options());
  launch(k, grid_of(k, p), out, input.contiguous(), p);
  return out;
}

at::Tensor rms_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon) {
  ops::check_rms_norm("rms_norm_backward", input, epsilon);
  const bool usual = grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device();
  const auto k = usual ? find("rms_norm_backward", input) : nullptr;
  if (!k) {
    return ops::composite::rms_norm_backward(grad, input, epsilon);
  }
  const auto p = parameters(input, epsilon);
  auto out = at::empty(input.sizes(), input.options());
  launch(k, grid_of(k, p), out, grad.contiguous(), input.contiguous(), p);
  return out;
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("rms_norm", &rms_norm);
  m.impl("rms_norm_backward", &rms_norm_backward);
}

} // namespace signalllm::mps
