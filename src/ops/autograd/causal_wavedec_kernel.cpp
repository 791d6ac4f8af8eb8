#include "ops/causal_wavedec.h"

#include <signalllm/ops/causal_wavedec.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct CausalWavedec : torch::autograd::Function<CausalWavedec> {
  static variable_list forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& lo,
      int64_t level,
      int64_t dim) {
    ctx->save_for_backward({lo.requires_grad() ? input : at::Tensor(), lo});
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::causal_wavedec(input, lo, level, dim);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dim = ctx->saved_data["dim"].toInt();
    variable_list out(4);
    if (ctx->needs_input_grad(0) && ctx->needs_input_grad(1)) {
      std::tie(out[0], out[1]) =
          detail::causal_wavedec_backward(grads, saved[0], saved[1], dim);
    } else if (ctx->needs_input_grad(0)) {
      out[0] = detail::causal_wavedec_backward_input(grads, saved[1], dim);
    } else if (ctx->needs_input_grad(1)) {
      out[1] = detail::causal_wavedec_backward_filter(
          grads, saved[0], saved[1], dim);
    }
    return out;
  }
};

std::vector<at::Tensor> causal_wavedec_autograd(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  return CausalWavedec::apply(input, lo, level, dim);
}

at::Tensor backward_input_autograd(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  if (needs_graph(grads, lo)) {
    return composite::causal_wavedec_backward_input(grads, lo, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavedec_backward_input(grads, lo, dim);
}

at::Tensor backward_filter_autograd(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  if (needs_graph(grads, input, lo)) {
    return composite::causal_wavedec_backward_filter(grads, input, lo, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavedec_backward_filter(grads, input, lo, dim);
}

std::tuple<at::Tensor, at::Tensor> backward_autograd(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  if (needs_graph(grads, input, lo)) {
    return {
        composite::causal_wavedec_backward_input(grads, lo, dim),
        composite::causal_wavedec_backward_filter(grads, input, lo, dim)};
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavedec_backward(grads, input, lo, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("causal_wavedec", &causal_wavedec_autograd);
  m.impl("causal_wavedec_backward_input", &backward_input_autograd);
  m.impl("causal_wavedec_backward_filter", &backward_filter_autograd);
  m.impl("causal_wavedec_backward", &backward_autograd);
}

} // namespace signalllm::ops
