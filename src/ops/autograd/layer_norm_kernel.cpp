#include "ops/layer_norm.h"

#include <signalllm/ops/layer_norm.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& weight,
      const at::Tensor& bias,
      double epsilon,
      std::optional<at::ScalarType> dtype) {
    ctx->save_for_backward({input, weight});
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["bias"] = bias.scalar_type();
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::layer_norm(input, weight, bias, epsilon, dtype);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    auto [input, weight, bias] = detail::layer_norm_backward(
        grads[0], saved[0], saved[1], ctx->saved_data["epsilon"].toDouble());
    return {
        input,
        weight,
        bias.to(ctx->saved_data["bias"].toScalarType()),
        at::Tensor(),
        at::Tensor()};
  }
};

at::Tensor layer_norm_autograd(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  if (!differentiated(input, weight, bias)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::layer_norm(input, weight, bias, epsilon, dtype);
  }
  return LayerNorm::apply(input, weight, bias, epsilon, dtype);
}

NormGradients backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& weight,
    double epsilon) {
  if (needs_graph(grad, input, weight)) {
    return composite::layer_norm_backward(grad, input, weight, epsilon);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::layer_norm_backward(grad, input, weight, epsilon);
}

struct AddLayerNorm : torch::autograd::Function<AddLayerNorm> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& branch,
      const at::Tensor& weight,
      const at::Tensor& bias,
      double epsilon,
      std::optional<at::ScalarType> dtype) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [sum, normal] =
        ops::add_layer_norm(input, branch, weight, bias, epsilon, dtype);
    ctx->save_for_backward({sum, weight});
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["branch"] = branch.scalar_type();
    ctx->saved_data["bias"] = bias.scalar_type();
    return {sum, normal};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto type = [&](const char* name) {
      return ctx->saved_data[name].toScalarType();
    };
    auto [input, branch, weight, bias] = detail::add_layer_norm_backward(
        grads[0],
        grads[1],
        saved[0],
        saved[1],
        ctx->saved_data["epsilon"].toDouble());
    return {
        input,
        branch.to(type("branch")),
        weight,
        bias.to(type("bias")),
        at::Tensor(),
        at::Tensor()};
  }
};

SumAndNorm add_layer_norm_autograd(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  if (!differentiated(input, branch, weight, bias)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::add_layer_norm(input, branch, weight, bias, epsilon, dtype);
  }
  const auto both =
      AddLayerNorm::apply(input, branch, weight, bias, epsilon, dtype);
  return {both[0], both[1]};
}

AddNormGradients add_backward_autograd(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon) {
  if (needs_graph(grad_sum, grad, sum, weight)) {
    return composite::add_layer_norm_backward(
        grad_sum, grad, sum, weight, epsilon);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::add_layer_norm_backward(grad_sum, grad, sum, weight, epsilon);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("layer_norm", &layer_norm_autograd);
  m.impl("layer_norm_backward", &backward_autograd);
  m.impl("add_layer_norm", &add_layer_norm_autograd);
  m.impl("add_layer_norm_backward", &add_backward_autograd);
}

} // namespace signalllm::ops
