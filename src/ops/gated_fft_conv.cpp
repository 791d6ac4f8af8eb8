#include <signalllm/ops/gated_fft_conv.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/gated_fft_conv.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  static const auto op =
      find_operator<decltype(gated_fft_conv)>("signalllm::gated_fft_conv");
  return op.call(input, gate_in, gate_out, kernel, skip);
}

FiveTensors detail::gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  static const auto op =
      find_operator<decltype(detail::gated_fft_conv_backward)>(
          "signalllm::gated_fft_conv_backward");
  return op.call(grad, input, gate_in, gate_out, kernel, skip);
}

void check_gated_fft_conv(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  check_fft_conv(op, input, kernel, skip, true);
  check_like(op, "gate_in", gate_in, input.sizes(), "input", input);
  check_like(op, "gate_out", gate_out, input.sizes(), "input", input);
}

namespace composite {

at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  check_gated_fft_conv(
      "gated_fft_conv", input, gate_in, gate_out, kernel, skip);
  // One rounding at the end, as a fused kernel does it.
  const auto type = accumulate_type(input.scalar_type());
  const auto y = fft_conv(
      gate_in.to(type) * input.to(type),
      kernel.to(type),
      skip ? std::optional(skip->to(type)) : std::nullopt,
      true);
  return (gate_out.to(type) * y).to(input.scalar_type());
}

FiveTensors gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  check_gated_fft_conv(
      "gated_fft_conv_backward", input, gate_in, gate_out, kernel, skip);
  const auto type = accumulate_type(input.scalar_type());
  const auto x = input.to(type);
  const auto gate = gate_in.to(type);
  const auto g = grad.to(type);
  const auto u = gate * x;
  const auto k = kernel.to(type);
  const auto d = skip ? std::optional(skip->to(type)) : std::nullopt;
  const auto y = fft_conv(u, k, d, true);
  const auto [gu, gk, gs] =
      fft_conv_backward(g * gate_out.to(type), u, k, d, true);
  const auto out = input.scalar_type();
  return {
      (gu * gate).to(out),
      (gu * x).to(out),
      (g * y).to(out),
      gk.to(kernel.scalar_type()),
      gs.to(skip ? skip->scalar_type() : kernel.scalar_type())};
}

} // namespace composite

namespace {

at::Tensor gated_meta(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  check_symbolic(
      "gated_fft_conv",
      input,
      -1,
      {{"gate_in", gate_in},
       {"gate_out", gate_out},
       {"kernel", kernel},
       {"skip", skip.value_or(kernel)}});
  return at::empty_symint(input.sym_sizes(), input.options());
}

FiveTensors backward_meta(
    const at::Tensor&,
    const at::Tensor& input,
    const at::Tensor&,
    const at::Tensor&,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip) {
  const auto like = [](const at::Tensor& t) {
    return at::empty_symint(t.sym_sizes(), t.options());
  };
  return {
      like(input),
      like(input),
      like(input),
      like(kernel),
      at::empty_symint(
          {input.sym_size(2)}, (skip.has_value() ? *skip : kernel).options())};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "gated_fft_conv(Tensor input, Tensor gate_in, Tensor gate_out, "
      "Tensor kernel, Tensor? skip=None) -> Tensor",
      tags);
  m.def(
      "gated_fft_conv_backward(Tensor grad, Tensor input, Tensor gate_in, "
      "Tensor gate_out, Tensor kernel, Tensor? skip) "
      "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("gated_fft_conv", &composite::gated_fft_conv);
  m.impl("gated_fft_conv_backward", &composite::gated_fft_conv_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("gated_fft_conv", &gated_meta);
  m.impl("gated_fft_conv_backward", &backward_meta);
}

} // namespace signalllm::ops
