#include "ops/gated_fft_conv.h"

#include <signalllm/ops/gated_fft_conv.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GatedFftConv : torch::autograd::Function<GatedFftConv> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& gate_in,
      const at::Tensor& gate_out,
      const at::Tensor& kernel,
      const std::optional<at::Tensor>& skip) {
    ctx->save_for_backward(
        {input, gate_in, gate_out, kernel, skip.value_or(at::Tensor())});
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::gated_fft_conv(input, gate_in, gate_out, kernel, skip);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto skip =
        saved[4].defined() ? std::optional(saved[4]) : std::nullopt;
    auto [input, gate_in, gate_out, kernel, gskip] =
        detail::gated_fft_conv_backward(
            grads[0], saved[0], saved[1], saved[2], saved[3], skip);
    return {input, gate_in, gate_out, kernel, skip ? gskip : at::Tensor()};
  }
};

at::Tensor gated_fft_conv_autograd(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  return GatedFftConv::apply(input, gate_in, gate_out, kernel, skip);
}

FiveTensors backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  if (needs_graph(grad, input, gate_in, gate_out, kernel, skip)) {
    return composite::gated_fft_conv_backward(
        grad, input, gate_in, gate_out, kernel, skip);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::gated_fft_conv_backward(
      grad, input, gate_in, gate_out, kernel, skip);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("gated_fft_conv", &gated_fft_conv_autograd);
  m.impl("gated_fft_conv_backward", &backward_autograd);
}

} // namespace signalllm::ops
