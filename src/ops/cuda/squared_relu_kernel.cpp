#include "bank/transform.h"
#include "pointwise/squared_relu.h"

#include "ops/squared_relu.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

using at::Tensor;

/// With a gradient, the input's.
Tensor computed(const Tensor& x, const Tensor& grad) {
  const c10::cuda::CUDAGuard guard(x.device());
  const auto input = x.contiguous();
  const auto g = grad.defined() ? grad.contiguous() : grad;
  auto out = at::empty(x.sizes(), x.options());
  if (x.numel() == 0) {
    return out;
  }
  SquaredReluParams p;
  p.input = input.const_data_ptr();
  p.grad = g.defined() ? g.const_data_ptr() : nullptr;
  p.output = out.mutable_data_ptr();
  p.size = x.numel();
  C10_CUDA_CHECK(launch(p, dtype_of(x.scalar_type()), current_stream()));
  return out;
}

bool takes(const Tensor& x) {
  return x.scalar_type() != at::kDouble && x.numel() < int64_t{1} << 40;
}

Tensor squared_relu(const Tensor& input) {
  ops::check_squared_relu("squared_relu", input);
  return takes(input) ? computed(input, {})
                      : ops::composite::squared_relu(input);
}

Tensor squared_relu_backward(const Tensor& grad, const Tensor& input) {
  ops::check_squared_relu("squared_relu_backward", input);
  const bool usual = takes(input) && grad.sizes() == input.sizes() &&
      grad.scalar_type() == input.scalar_type() &&
      grad.device() == input.device();
  return usual ? computed(input, grad)
               : ops::composite::squared_relu_backward(grad, input);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("squared_relu", &squared_relu);
  m.impl("squared_relu_backward", &squared_relu_backward);
}

} // namespace signalllm::cuda
