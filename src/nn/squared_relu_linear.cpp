#include "nn/squared_relu_linear.h"

#include "ops/squared_relu.h"

#include <signalllm/ops/squared_relu.h>

#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

namespace signalllm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SquaredReluLinear : torch::autograd::Function<SquaredReluLinear> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& weight) {
    ctx->save_for_backward({input, weight});
    return at::linear(ops::squared_relu(input), weight);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto& input = saved[0];
    const auto& weight = saved[1];
    const auto rows = [](const at::Tensor& x) {
      return x.reshape({-1, x.size(-1)});
    };
    at::Tensor input_grad, weight_grad;
    if (ctx->needs_input_grad(1)) {
      weight_grad = rows(grads[0]).t().matmul(rows(ops::squared_relu(input)));
    }
    if (ctx->needs_input_grad(0)) {
      input_grad =
          ops::detail::squared_relu_backward(grads[0].matmul(weight), input);
    }
    return {input_grad, weight_grad};
  }
};

} // namespace

at::Tensor squared_relu_linear(
    const at::Tensor& input,
    const at::Tensor& weight) {
  return SquaredReluLinear::apply(input, weight);
}

} // namespace signalllm
