#include <signalllm/ops/waverec.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/waverec.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  static const auto op = find_operator<decltype(waverec)>("signalllm::waverec");
  return op.call(coeffs, rec_lo, rec_hi, mode, dim);
}

std::vector<at::Tensor> detail::waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef lengths,
    std::string_view mode,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::waverec_backward_input)>(
          "signalllm::waverec_backward_input");
  return op.call(grad, rec_lo, rec_hi, lengths, mode, dim);
}

std::tuple<at::Tensor, at::Tensor> detail::waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::waverec_backward_filters)>(
          "signalllm::waverec_backward_filters");
  return op.call(grad, coeffs, rec_lo, rec_hi, mode, dim);
}

std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor>
detail::waverec_backward(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  static const auto op = find_operator<decltype(detail::waverec_backward)>(
      "signalllm::waverec_backward");
  return op.call(grad, coeffs, rec_lo, rec_hi, mode, dim);
}

namespace {

/// `lengths` are the coefficients', `[cA_n, cD_n, ..., cD_1]`.
void fill_lengths(
    std::string_view op,
    at::IntArrayRef lengths,
    WaverecPlan& plan) {
  check_levels_of(op, "lengths", lengths.size());
  const int64_t levels = static_cast<int64_t>(lengths.size()) - 1;
  plan.approximation = lengths[0];
  plan.lengths.assign(levels + 1, 0);
  int64_t a = lengths[0];
  for (int64_t l = levels; l > 0; --l) {
    const int64_t d = lengths[levels - l + 1];
    TORCH_CHECK(
        a == d || a == d + 1,
        op,
        ": at level ",
        l,
        " the approximation has ",
        a,
        " values and the detail ",
        d,
        "; they must be equal, or the approximation one longer");
    a = synthesis_length(plan.mode, d, plan.taps);
    TORCH_CHECK(
        a >= 1,
        op,
        ": at level ",
        l,
        " ",
        d,
        " coefficients are too few for ",
        plan.taps,
        " taps; at least ",
        plan.taps / 2);
    plan.lengths[l] = d;
  }
  plan.lengths[0] = a;
}

} // namespace

WaverecPlan plan_waverec(
    std::string_view op,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), op, ": coeffs is empty; it must hold at least cA");
  check_alike(op, "coeffs", coeffs);
  WaverecPlan plan;
  plan.signal = check_signal(op, coeffs[0], dim);
  check_filters(
      op, "rec_lo", rec_lo, "rec_hi", rec_hi, coeffs[0], plan.signal, true);
  plan.mode = parse_mode(op, mode);
  plan.taps = rec_lo.size(-1);
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < coeffs.size(); ++i) {
    const auto& c = coeffs[i];
    TORCH_CHECK(
        c.dim() == coeffs[0].dim() &&
            c.scalar_type() == coeffs[0].scalar_type() &&
            c.device() == coeffs[0].device() &&
            plan.signal.sizes_for(c.size(plan.signal.dim)) == c.sizes(),
        op,
        ": coeffs[",
        i,
        "] is ",
        c.scalar_type(),
        " ",
        c.sizes(),
        " on ",
        c.device(),
        "; it must be like coeffs[0], ",
        coeffs[0].scalar_type(),
        " ",
        coeffs[0].sizes(),
        " on ",
        coeffs[0].device(),
        ", but for dim ",
        dim);
    lengths.push_back(c.size(plan.signal.dim));
  }
  fill_lengths(op, lengths, plan);
  plan.signal.length = plan.lengths[0];
  plan.signal.sizes[plan.signal.dim] = plan.lengths[0];
  return plan;
}

WaverecPlan plan_waverec_backward(
    std::string_view op,
    const at::Tensor& grad,
    at::IntArrayRef lengths,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  TORCH_CHECK(!lengths.empty(), op, ": lengths is empty");
  WaverecPlan plan;
  plan.signal = check_signal(op, grad, dim);
  check_filters(
      op, "rec_lo", rec_lo, "rec_hi", rec_hi, grad, plan.signal, true);
  plan.mode = parse_mode(op, mode);
  plan.taps = rec_lo.size(-1);
  fill_lengths(op, lengths, plan);
  TORCH_CHECK(
      plan.lengths[0] == plan.signal.length,
      op,
      ": coefficients of these lengths make ",
      plan.lengths[0],
      " values, the gradient has ",
      plan.signal.length);
  return plan;
}

WaverecPlan plan_waverec_backward_filters(
    std::string_view op,
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  auto plan = plan_waverec(op, coeffs, rec_lo, rec_hi, mode, dim);
  check_like(op, "grad", grad, plan.signal.sizes, "the output", coeffs[0]);
  return plan;
}

namespace {

std::vector<at::Tensor> backward_input_composite(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef lengths,
    std::string_view mode,
    int64_t dim) {
  return composite::waverec_backward_input(
      grad, rec_lo, rec_hi, C10_AS_INTARRAYREF_SLOW(lengths), mode, dim);
}

/// Every device's own kernels, one after the other.
std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor> backward_of_two(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  std::vector<c10::SymInt> lengths;
  for (const auto& c : coeffs) {
    lengths.push_back(c.sym_size(dim));
  }
  auto [lo, hi] =
      detail::waverec_backward_filters(grad, coeffs, rec_lo, rec_hi, mode, dim);
  return {
      detail::waverec_backward_input(grad, rec_lo, rec_hi, lengths, mode, dim),
      lo,
      hi};
}

at::Tensor waverec_meta(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode_name,
    int64_t dim) {
  const auto mode = parse_mode("waverec", mode_name);
  TORCH_CHECK(
      !coeffs.empty(), "waverec: coeffs is empty; it must hold at least cA");
  check_alike("waverec", "coeffs", coeffs);
  const auto d = check_symbolic(
      "waverec", coeffs[0], dim, {{"rec_lo", rec_lo}, {"rec_hi", rec_hi}});
  for (const auto& c : coeffs) {
    check_symbolic("waverec", coeffs[0], dim, {{"coeffs", c}});
    TORCH_CHECK(
        c.dim() == coeffs[0].dim(),
        "waverec: coeffs have ranks ",
        coeffs[0].dim(),
        " and ",
        c.dim(),
        "; they must have one");
  }
  auto sizes = coeffs.back().sym_sizes().vec();
  if (coeffs.size() > 1) {
    const auto taps = rec_lo.sym_size(-1);
    sizes[d] =
        mode == Mode::periodization ? sizes[d] * 2 : sizes[d] * 2 - taps + 2;
  }
  return at::empty_symint(sizes, coeffs[0].options());
}

std::vector<at::Tensor> backward_input_meta(
    const at::Tensor& grad,
    const at::Tensor&,
    const at::Tensor&,
    c10::SymIntArrayRef lengths,
    std::string_view,
    int64_t dim) {
  check_levels_of("waverec_backward_input", "lengths", lengths.size());
  auto sizes = grad.sym_sizes().vec();
  std::vector<at::Tensor> out;
  for (const auto& length : lengths) {
    sizes[dim < 0 ? dim + grad.dim() : dim] = length;
    out.push_back(at::empty_symint(sizes, grad.options()));
  }
  return out;
}

std::tuple<at::Tensor, at::Tensor> backward_filters_meta(
    const at::Tensor&,
    at::TensorList,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view,
    int64_t) {
  return {at::empty_like(rec_lo), at::empty_like(rec_hi)};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "waverec(Tensor[] coeffs, Tensor rec_lo, Tensor rec_hi, "
      "str mode=\"reflect\", int dim=-2) -> Tensor",
      tags);
  m.def(
      "waverec_backward_input(Tensor grad, Tensor rec_lo, Tensor rec_hi, "
      "SymInt[] lengths, str mode, int dim) -> Tensor[]",
      tags);
  m.def(
      "waverec_backward_filters(Tensor grad, Tensor[] coeffs, Tensor rec_lo, "
      "Tensor rec_hi, str mode, int dim) -> (Tensor, Tensor)",
      tags);
  m.def(
      "waverec_backward(Tensor grad, Tensor[] coeffs, Tensor rec_lo, "
      "Tensor rec_hi, str mode, int dim) -> (Tensor[], Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("waverec", &composite::waverec);
  m.impl("waverec_backward_input", &backward_input_composite);
  m.impl("waverec_backward_filters", &composite::waverec_backward_filters);
  m.impl("waverec_backward", &backward_of_two);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("waverec", &waverec_meta);
  m.impl("waverec_backward_input", &backward_input_meta);
  m.impl("waverec_backward_filters", &backward_filters_meta);
}

} // namespace signalllm::ops
