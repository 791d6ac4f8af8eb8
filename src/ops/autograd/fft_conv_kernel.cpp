#include "ops/fft_conv.h"

#include <signalllm/ops/fft_conv.h>

#include "ops/autograd/redispatch.h"

#include <torch/library.h>

namespace signalllm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FftConv : torch::autograd::Function<FftConv> {
  static at::Tensor forward(
      AutogradContext* ctx,
      const at::Tensor& input,
      const at::Tensor& kernel,
      const std::optional<at::Tensor>& skip,
      bool causal) {
    ctx->save_for_backward({input, kernel, skip.value_or(at::Tensor())});
    ctx->saved_data["causal"] = causal;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return ops::fft_conv(input, kernel, skip, causal);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto skip =
        saved[2].defined() ? std::optional(saved[2]) : std::nullopt;
    auto [input, kernel, gskip] = detail::fft_conv_backward(
        grads[0], saved[0], saved[1], skip, ctx->saved_data["causal"].toBool());
    return {input, kernel, skip ? gskip : at::Tensor(), at::Tensor()};
  }
};

at::Tensor fft_conv_autograd(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  return FftConv::apply(input, kernel, skip, causal);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_autograd(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  if (needs_graph(grad, input, kernel, skip)) {
    return composite::fft_conv_backward(grad, input, kernel, skip, causal);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return detail::fft_conv_backward(grad, input, kernel, skip, causal);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, Autograd, m) {
  m.impl("fft_conv", &fft_conv_autograd);
  m.impl("fft_conv_backward", &backward_autograd);
}

} // namespace signalllm::ops
