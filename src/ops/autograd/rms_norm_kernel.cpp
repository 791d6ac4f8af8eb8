#include "ops/rms_norm.h"

#include <signalllm/ops/rms_norm.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor
  forward(AutogradContext* ctx, const at::Tensor& input, double epsilon) {
    ctx->save_for_backward({input});
    ctx->saved_data["epsilon"] = epsilon;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::rms_norm(input, epsilon);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto input = ctx->get_saved_variables()[0];
    return {
        detail::rms_norm_backward(
            grads[0], input, ctx->saved_data["epsilon"].toDouble()),
        at::Tensor()};
  }
};

at::Tensor rms_norm_autograd(const at::Tensor& input, double epsilon) {
  if (!differentiated(input)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::rms_norm(input, epsilon);
  }
  return RmsNorm::apply(input, epsilon);
}

at::Tensor backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon) {
  if (needs_graph(grad, input)) {
    return composite::rms_norm_backward(grad, input, epsilon);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::rms_norm_backward(grad, input, epsilon);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("rms_norm", &rms_norm_autograd);
  m.impl("rms_norm_backward", &backward_autograd);
}

} // namespace signalllm::ops
