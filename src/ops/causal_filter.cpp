#include <signalllm/ops/causal_filter.h>

#include "ops/causal_bank.h"
#include "ops/causal_filter.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <vector>

namespace signalllm::ops {

at::Tensor causal_filter(const at::Tensor& input, const at::Tensor& taps) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("signalllm::causal_filter", "")
                             .typed<decltype(causal_filter)>();
  return op.call(input, taps);
}

std::tuple<at::Tensor, at::Tensor> detail::causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("signalllm::causal_filter_backward", "")
          .typed<decltype(detail::causal_filter_backward)>();
  return op.call(grad, input, taps);
}

void check_causal_filter(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& taps) {
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() == 3 &&
          input.size(1) >= 1,
      op,
      ": input must be a floating point tensor [N, L, C] with L >= 1, got ",
      input.scalar_type(),
      " ",
      input.sizes());
  TORCH_CHECK(
      taps.dim() == 2 && taps.size(0) == input.size(2) && taps.size(1) >= 1,
      op,
      ": taps must be [C, K] with the input's ",
      input.size(2),
      " channels and K >= 1, got ",
      taps.sizes());
  TORCH_CHECK(
      (taps.scalar_type() == input.scalar_type() ||
       taps.scalar_type() == accumulate_type(input.scalar_type())) &&
          taps.device() == input.device(),
      op,
      ": taps are ",
      taps.scalar_type(),
      " on ",
      taps.device(),
      " beside an input of ",
      input.scalar_type(),
      " on ",
      input.device(),
      "; allowed: the input's dtype, or Float beside half precision, and its "
      "device");
}

namespace composite {

at::Tensor causal_filter(const at::Tensor& input, const at::Tensor& taps) {
  check_causal_filter("causal_filter", input, taps);
  const auto type = accumulate_type(input.scalar_type());
  return bank::causal_filter(input.to(type), taps.to(type), 1)
      .to(input.scalar_type());
}

std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps) {
  check_causal_filter("causal_filter_backward", input, taps);
  TORCH_CHECK(
      grad.sizes() == input.sizes() && grad.device() == input.device(),
      "causal_filter_backward: grad must be like input, ",
      input.sizes(),
      ", got ",
      grad.sizes());
  const auto type = accumulate_type(input.scalar_type());
  const auto g = grad.to(type);
  return {
      bank::causal_filter_transpose(g, taps.to(type), 1)
          .to(input.scalar_type()),
      bank::causal_filter_gradient(
          g, input.to(type), taps.size(1), 1, /*shared=*/false)
          .to(taps.scalar_type())};
}

} // namespace composite

namespace {

at::Tensor causal_filter_meta(const at::Tensor& input, const at::Tensor&) {
  return at::empty_symint(input.sym_sizes(), input.options());
}

std::tuple<at::Tensor, at::Tensor> backward_meta(
    const at::Tensor&,
    const at::Tensor& input,
    const at::Tensor& taps) {
  return {
      at::empty_symint(input.sym_sizes(), input.options()),
      at::empty_symint(taps.sym_sizes(), taps.options())};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("causal_filter(Tensor input, Tensor taps) -> Tensor", tags);
  m.def(
      "causal_filter_backward(Tensor grad, Tensor input, Tensor taps) -> "
      "(Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("causal_filter", &composite::causal_filter);
  m.impl("causal_filter_backward", &composite::causal_filter_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("causal_filter", &causal_filter_meta);
  m.impl("causal_filter_backward", &backward_meta);
}

} // namespace signalllm::ops
