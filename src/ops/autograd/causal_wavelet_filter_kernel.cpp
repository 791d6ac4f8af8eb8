#include "ops/causal_wavelet_filter.h"

#include <signalllm/ops/causal_wavelet_filter.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct CausalWaveletFilter : torch::autograd::Function<CausalWaveletFilter> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& lo,
      const at::Tensor& hi,
      const at::Tensor& weight,
      int64_t dim) {
    const bool filters =
        lo.requires_grad() || hi.requires_grad() || weight.requires_grad();
    ctx->save_for_backward({filters ? input : at::Tensor(), lo, hi, weight});
    ctx->saved_data["dim"] = dim;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::causal_wavelet_filter(input, lo, hi, weight, dim);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dim = ctx->saved_data["dim"].toInt();
    variable_list out(5);
    const bool filters = ctx->needs_input_grad(1) || ctx->needs_input_grad(2) ||
        ctx->needs_input_grad(3);
    if (ctx->needs_input_grad(0) && filters) {
      std::tie(out[0], out[1], out[2], out[3]) =
          detail::causal_wavelet_filter_backward(
              grads[0], saved[0], saved[1], saved[2], saved[3], dim);
    } else if (ctx->needs_input_grad(0)) {
      out[0] = detail::causal_wavelet_filter_backward_input(
          grads[0], saved[1], saved[2], saved[3], dim);
    } else if (filters) {
      std::tie(out[1], out[2], out[3]) =
          detail::causal_wavelet_filter_backward_filters(
              grads[0], saved[0], saved[1], saved[2], saved[3], dim);
    }
    return out;
  }
};

at::Tensor causal_wavelet_filter_autograd(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  return CausalWaveletFilter::apply(input, lo, hi, weight, dim);
}

at::Tensor backward_input_autograd(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  if (needs_graph(grad, lo, hi, weight)) {
    return composite::causal_wavelet_filter_backward_input(
        grad, lo, hi, weight, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavelet_filter_backward_input(
      grad, lo, hi, weight, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_filters_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  if (needs_graph(grad, input, lo, hi, weight)) {
    return composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavelet_filter_backward_filters(
      grad, input, lo, hi, weight, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  if (needs_graph(grad, input, lo, hi, weight)) {
    auto [a, b, c] = composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
    return {
        composite::causal_wavelet_filter_backward_input(
            grad, lo, hi, weight, dim),
        a,
        b,
        c};
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::causal_wavelet_filter_backward(
      grad, input, lo, hi, weight, dim);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("causal_wavelet_filter", &causal_wavelet_filter_autograd);
  m.impl("causal_wavelet_filter_backward_input", &backward_input_autograd);
  m.impl("causal_wavelet_filter_backward_filters", &backward_filters_autograd);
  m.impl("causal_wavelet_filter_backward", &backward_autograd);
}

} // namespace signalllm::ops
