// By the kernels of layer_norm.cu.
#include "bank/transform.h"
#include "pointwise/layer_norm.h"

#include "ops/rms_norm.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

using at::Tensor;

/// Whether the kernels take this: otherwise plain ATen.
bool takes(const Tensor& x) {
  const auto type = dtype_of(x.scalar_type());
  return has_layer_norm(x.numel() / x.size(-1), x.size(-1), type, type);
}

Tensor aligned(const Tensor& x) {
  const auto y = x.contiguous();
  return reinterpret_cast<uintptr_t>(y.const_data_ptr()) % 16 == 0 ? y
                                                                   : y.clone();
}

/// With a gradient, the input's.
Tensor computed(const Tensor& input, const Tensor& grad, double epsilon) {
  const c10::cuda::CUDAGuard guard(input.device());
  const auto x = aligned(input);
  const auto g = grad.defined() ? aligned(grad) : grad;
  auto out = at::empty(x.sizes(), x.options());
  LayerNormParams p;
  p.input = x.const_data_ptr();
  p.grad = g.defined() ? g.const_data_ptr() : nullptr;
  p.output = out.mutable_data_ptr();
  p.channels = static_cast<int>(x.size(-1));
  p.rows = x.numel() / p.channels;
  p.blocks = layer_norm_blocks(p.rows, p.channels, /*weighted=*/false);
  p.epsilon = static_cast<float>(epsilon);
  p.centred = false;
  const auto type = dtype_of(x.scalar_type());
  C10_CUDA_CHECK(launch(p, type, type, current_stream()));
  return out;
}

Tensor rms_norm(const Tensor& input, double epsilon) {
  ops::check_rms_norm("rms_norm", input, epsilon);
  return takes(input) ? computed(input, {}, epsilon)
                      : ops::composite::rms_norm(input, epsilon);
}

Tensor
rms_norm_backward(const Tensor& grad, const Tensor& input, double epsilon) {
  ops::check_rms_norm("rms_norm_backward", input, epsilon);
  const bool usual = takes(input) && grad.sizes() == input.sizes() &&
      grad.device() == input.device() &&
      grad.scalar_type() == input.scalar_type();
  return usual ? computed(input, grad, epsilon)
               : ops::composite::rms_norm_backward(grad, input, epsilon);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("rms_norm", &rms_norm);
  m.impl("rms_norm_backward", &rms_norm_backward);
}

} // namespace signalllm::cuda
