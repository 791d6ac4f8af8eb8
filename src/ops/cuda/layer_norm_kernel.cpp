#include "bank/transform.h"
#include "pointwise/layer_norm.h"

#include "ops/layer_norm.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

using at::Tensor;

/// Whether the kernels take this: otherwise plain ATen.
bool takes(const Tensor& input, at::ScalarType output) {
  const auto channels = input.size(-1);
  return has_layer_norm(
      input.numel() / channels,
      channels,
      dtype_of(input.scalar_type()),
      dtype_of(output));
}

Tensor aligned(const Tensor& x) {
  const auto y = x.contiguous();
  return reinterpret_cast<uintptr_t>(y.const_data_ptr()) % 16 == 0 ? y
                                                                   : y.clone();
}

/// A call's tensors, kept alive, and its parameters.
struct Call {
  Tensor input, weight;
  LayerNormParams p;

  Call(const Tensor& input_, const Tensor& weight_, double epsilon)
      : input(aligned(input_)), weight(aligned(weight_.to(at::kFloat))) {
    p.input = input.const_data_ptr();
    p.weight = weight.const_data_ptr<float>();
    p.channels = static_cast<int>(input.size(-1));
    p.rows = input.numel() / p.channels;
    p.epsilon = static_cast<float>(epsilon);
  }

  void run(at::ScalarType output) const {
    C10_CUDA_CHECK(launch(
        p, dtype_of(input.scalar_type()), dtype_of(output), current_stream()));
  }
};

Tensor layer_norm(
    const Tensor& input,
    const Tensor& weight,
    const Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  ops::check_layer_norm("layer_norm", input, weight, bias, epsilon, dtype);
  const auto type = dtype.value_or(input.scalar_type());
  if (!takes(input, type)) {
    return ops::composite::layer_norm(input, weight, bias, epsilon, dtype);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  Call call(input, weight, epsilon);
  const auto b = aligned(bias.to(at::kFloat));
  auto out = at::empty(input.sizes(), input.options().dtype(type));
  call.p.bias = b.const_data_ptr<float>();
  call.p.output = out.mutable_data_ptr();
  call.run(type);
  return out;
}

ops::SumAndNorm add_layer_norm(
    const Tensor& input,
    const Tensor& branch,
    const Tensor& weight,
    const Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  ops::check_layer_norm("add_layer_norm", input, weight, bias, epsilon, dtype);
  ops::check_branch(input, branch);
  const auto type = dtype.value_or(input.scalar_type());
  if (!takes(input, type) || branch.scalar_type() != type) {
    return ops::composite::add_layer_norm(
        input, branch, weight, bias, epsilon, dtype);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  Call call(input, weight, epsilon);
  const auto b = aligned(bias.to(at::kFloat)), y = aligned(branch);
  auto sum = at::empty(input.sizes(), input.options());
  auto out = at::empty(input.sizes(), input.options().dtype(type));
  call.p.bias = b.const_data_ptr<float>();
  call.p.branch = const_cast<void*>(y.const_data_ptr());
  call.p.sum = sum.mutable_data_ptr();
  call.p.output = out.mutable_data_ptr();
  call.run(type);
  return {sum, out};
}

/// Whether the backward kernel takes this.
bool takes_back(const Tensor& grad, const Tensor& input) {
  return grad.sizes() == input.sizes() && grad.device() == input.device() &&
      at::isFloatingType(grad.scalar_type()) &&
      takes(input, grad.scalar_type());
}

/// `sum` and `branch` as in LayerNormParams, or not.
ops::NormGradients computed(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& weight,
    double epsilon,
    const Tensor& sum,
    const Tensor& branch) {
  const c10::cuda::CUDAGuard guard(input.device());
  Call call(input, weight, epsilon);
  auto& p = call.p;
  const auto g = aligned(grad);
  auto out = at::empty(input.sizes(), input.options());
  p.blocks = layer_norm_blocks(p.rows, p.channels, /*weighted=*/true);
  auto shares = at::empty({p.blocks, 2, p.channels}, call.weight.options());
  p.grad = g.const_data_ptr();
  p.output = out.mutable_data_ptr();
  p.shares = shares.mutable_data_ptr<float>();
  if (branch.defined()) {
    p.branch = branch.mutable_data_ptr();
    p.sum = const_cast<void*>(sum.const_data_ptr());
  }
  call.run(grad.scalar_type());
  // Neither a view of the other.
  const auto total = [&](int64_t which) {
    return shares.select(1, which).sum(0).to(weight.scalar_type());
  };
  return {out, total(0), total(1)};
}

ops::NormGradients layer_norm_backward(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& weight,
    double epsilon) {
  ops::check_layer_norm(
      "layer_norm_backward", input, weight, weight, epsilon, {});
  return takes_back(grad, input)
      ? computed(grad, input, weight, epsilon, {}, {})
      : ops::composite::layer_norm_backward(grad, input, weight, epsilon);
}

ops::AddNormGradients add_layer_norm_backward(
    const Tensor& grad_sum,
    const Tensor& grad,
    const Tensor& sum,
    const Tensor& weight,
    double epsilon) {
  ops::check_layer_norm(
      "add_layer_norm_backward", sum, weight, weight, epsilon, {});
  if (!takes_back(grad, sum) || grad_sum.sizes() != sum.sizes() ||
      grad_sum.scalar_type() != sum.scalar_type() ||
      grad_sum.device() != sum.device()) {
    return ops::composite::add_layer_norm_backward(
        grad_sum, grad, sum, weight, epsilon);
  }
  const auto through = aligned(grad_sum);
  auto branch = at::empty(sum.sizes(), grad.options());
  auto [x, w, b] = computed(grad, sum, weight, epsilon, through, branch);
  return {x, branch, w, b};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("layer_norm", &layer_norm);
  m.impl("layer_norm_backward", &layer_norm_backward);
  m.impl("add_layer_norm", &add_layer_norm);
  m.impl("add_layer_norm_backward", &add_layer_norm_backward);
}

} // namespace signalllm::cuda
