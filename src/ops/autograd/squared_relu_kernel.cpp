#include "ops/squared_relu.h"

#include <signalllm/ops/squared_relu.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SquaredRelu : torch::autograd::Function<SquaredRelu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input) {
    ctx->save_for_backward({input});
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::squared_relu(input);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto input = ctx->get_saved_variables()[0];
    return {detail::squared_relu_backward(grads[0], input)};
  }
};

at::Tensor squared_relu_autograd(const at::Tensor& input) {
  if (!differentiated(input)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::squared_relu(input);
  }
  return SquaredRelu::apply(input);
}

at::Tensor backward_autograd(const at::Tensor& grad, const at::Tensor& input) {
  if (needs_graph(grad, input)) {
    return composite::squared_relu_backward(grad, input);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::squared_relu_backward(grad, input);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("squared_relu", &squared_relu_autograd);
  m.impl("squared_relu_backward", &backward_autograd);
}

} // namespace signalllm::ops
