#include <signalllm/ops/causal_wavelet_filter.h>

#include "ops/causal_wavelet_filter.h"
#include "ops/checks.h"
#include "ops/find_operator.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  static const auto op = find_operator<decltype(causal_wavelet_filter)>(
      "signalllm::causal_wavelet_filter");
  return op.call(input, lo, hi, weight, dim);
}

at::Tensor detail::causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavelet_filter_backward_input)>(
          "signalllm::causal_wavelet_filter_backward_input");
  return op.call(grad, lo, hi, weight, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
detail::causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavelet_filter_backward_filters)>(
          "signalllm::causal_wavelet_filter_backward_filters");
  return op.call(grad, input, lo, hi, weight, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>
detail::causal_wavelet_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavelet_filter_backward)>(
          "signalllm::causal_wavelet_filter_backward");
  return op.call(grad, input, lo, hi, weight, dim);
}

Signal check_causal_wavelet_filter(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_signal(op, input, dim);
  check_filters(op, "lo", lo, "hi", hi, input, s, false);
  check_dense(op, "weight", weight);
  TORCH_CHECK(
      weight.dim() == 2 &&
          (weight.size(0) == 1 || weight.size(0) == s.channels) &&
          weight.size(1) >= 2 && weight.size(1) <= kMaxLevels + 2,
      op,
      ": weight must be [channels or 1, J + 2] with the ",
      s.channels,
      " channels of the input's last axis and 0 <= J <= 61, got ",
      weight.sizes());
  TORCH_CHECK(
      weight.scalar_type() == lo.scalar_type() &&
          weight.device() == input.device(),
      op,
      ": weight is ",
      weight.scalar_type(),
      " on ",
      weight.device(),
      "; it must be like lo, ",
      lo.scalar_type(),
      " on ",
      input.device());
  return s;
}

Signal check_causal_wavelet_filter_backward(
    std::string_view op,
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter(op, input, lo, hi, weight, dim);
  check_like(op, "grad", grad, s.sizes, "input", input);
  return s;
}

namespace {

at::Tensor same_meta(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  check_symbolic(
      "causal_wavelet_filter",
      input,
      dim,
      {{"lo", lo}, {"hi", hi}, {"weight", weight}});
  const auto columns = weight.sym_size(-1).maybe_as_int().value_or(2);
  TORCH_CHECK(
      columns >= 2 && columns <= kMaxLevels + 2,
      "causal_wavelet_filter: weight has ",
      columns,
      " columns; J + 2 with 0 <= J <= ",
      kMaxLevels);
  return at::empty_symint(input.sym_sizes(), input.options());
}

/// Every device's own kernels, one after the other.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> backward_of_two(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  auto [a, b, c] = detail::causal_wavelet_filter_backward_filters(
      grad, input, lo, hi, weight, dim);
  return {
      detail::causal_wavelet_filter_backward_input(grad, lo, hi, weight, dim),
      a,
      b,
      c};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_filters_meta(
    const at::Tensor&,
    const at::Tensor&,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t) {
  return {at::empty_like(lo), at::empty_like(hi), at::empty_like(weight)};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "causal_wavelet_filter(Tensor input, Tensor lo, Tensor hi, "
      "Tensor weight, int dim=-2) -> Tensor",
      tags);
  m.def(
      "causal_wavelet_filter_backward_input(Tensor grad, Tensor lo, "
      "Tensor hi, Tensor weight, int dim) -> Tensor",
      tags);
  m.def(
      "causal_wavelet_filter_backward_filters(Tensor grad, Tensor input, "
      "Tensor lo, Tensor hi, Tensor weight, int dim) "
      "-> (Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "causal_wavelet_filter_backward(Tensor grad, Tensor input, Tensor lo, "
      "Tensor hi, Tensor weight, int dim) "
      "-> (Tensor, Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("causal_wavelet_filter", &composite::causal_wavelet_filter);
  m.impl(
      "causal_wavelet_filter_backward_input",
      &composite::causal_wavelet_filter_backward_input);
  m.impl(
      "causal_wavelet_filter_backward_filters",
      &composite::causal_wavelet_filter_backward_filters);
  m.impl("causal_wavelet_filter_backward", &backward_of_two);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("causal_wavelet_filter", &same_meta);
  m.impl("causal_wavelet_filter_backward_input", &same_meta);
  m.impl("causal_wavelet_filter_backward_filters", &backward_filters_meta);
}

} // namespace signalllm::ops
