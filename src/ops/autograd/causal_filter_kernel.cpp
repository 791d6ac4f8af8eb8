#include "ops/causal_filter.h"

#include <signalllm/ops/causal_filter.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct CausalFilter : torch::autograd::Function<CausalFilter> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& taps,
      int64_t parts) {
    ctx->save_for_backward({input, taps});
    ctx->saved_data["parts"] = parts;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::causal_filter(input, taps, parts);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto [input, taps] = detail::causal_filter_backward(
        grads[0], saved[0], saved[1], ctx->saved_data["parts"].toInt());
    return {input, taps, at::Tensor()};
  }
};

at::Tensor causal_filter_autograd(
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  return CausalFilter::apply(input, taps, parts);
}

std::tuple<at::Tensor, at::Tensor> backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  if (needs_graph(grad, input, taps)) {
    return composite::causal_filter_backward(grad, input, taps, parts);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_filter_backward(grad, input, taps, parts);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("causal_filter", &causal_filter_autograd);
  m.impl("causal_filter_backward", &backward_autograd);
}

} // namespace signalllm::ops
