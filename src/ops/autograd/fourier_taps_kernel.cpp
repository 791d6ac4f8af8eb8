#include "ops/fourier_taps.h"

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FourierTaps : torch::autograd::Function<FourierTaps> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& terms,
      const at::Tensor& log_decay,
      const at::Tensor& frequency,
      c10::SymInt length,
      int64_t period) {
    ctx->save_for_backward({terms, log_decay, frequency});
    ctx->saved_data["period"] = period;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return detail::fourier_taps(
        terms, log_decay, frequency, std::move(length), period);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    auto [terms, log_decay] = detail::fourier_taps_backward(
        grads[0],
        saved[0],
        saved[1],
        saved[2],
        ctx->saved_data["period"].toInt());
    return {terms, log_decay, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor taps_autograd(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt length,
    int64_t period) {
  if (!differentiated(terms, log_decay)) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    return detail::fourier_taps(
        terms, log_decay, frequency, std::move(length), period);
  }
  return FourierTaps::apply(
      terms, log_decay, frequency, std::move(length), period);
}

std::tuple<at::Tensor, at::Tensor> backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period) {
  if (needs_graph(grad, terms, log_decay)) {
    return composite::fourier_taps_backward(
        grad, terms, log_decay, frequency, period);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::fourier_taps_backward(
      grad, terms, log_decay, frequency, period);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("fourier_taps", &taps_autograd);
  m.impl("fourier_taps_backward", &backward_autograd);
}

} // namespace signalllm::ops
