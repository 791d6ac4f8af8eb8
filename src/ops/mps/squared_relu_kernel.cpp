// One launch each way.
#include "ops/mps/library.h"
#include "ops/squared_relu.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

Kernel find(const char* name, const at::Tensor& input) {
  constexpr int64_t most = int64_t{1} << 31;
  return input.numel() > 0 && input.numel() < most
      ? kernel(name, input.scalar_type())
      : nullptr;
}

/// `threads` is the same in the grid and in the launch: no more than fit.
Grid grid_of(const Kernel& k, uint32_t count) {
  Grid grid;
  grid.threads = std::min<uint64_t>(256, k->getMaxThreadsPerThreadgroup());
  grid.x = (count + grid.threads - 1) / grid.threads;
  return grid;
}

at::Tensor squared_relu(const at::Tensor& input) {
  ops::check_squared_relu("squared_relu", input);
  const auto k = find("squared_relu", input);
  if (!k) {
    return ops::composite::squared_relu(input);
  }
  const auto count = static_cast<uint32_t>(input.numel());
  auto out = at::empty(input.sizes(), input.options());
  launch(k, grid_of(k, count), out, input.contiguous(), count);
  return out;
}

at::Tensor squared_relu_backward(
    const at::Tensor& grad,
    const at::Tensor& input) {
  ops::check_squared_relu("squared_relu_backward", input);
  const bool usual = grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device();
  const auto k = usual ? find("squared_relu_backward", input) : nullptr;
  if (!k) {
    return ops::composite::squared_relu_backward(grad, input);
  }
  const auto count = static_cast<uint32_t>(input.numel());
  auto out = at::empty(input.sizes(), input.options());
  launch(
      k, grid_of(k, count), out, grad.contiguous(), input.contiguous(), count);
  return out;
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("squared_relu", &squared_relu);
  m.impl("squared_relu_backward", &squared_relu_backward);
}

} // namespace signalllm::mps
