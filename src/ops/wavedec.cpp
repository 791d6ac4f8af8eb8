#include <signalllm/ops/wavedec.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/wavedec.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  static const auto op = find_operator<decltype(wavedec)>("signalllm::wavedec");
  return op.call(input, dec_lo, dec_hi, level, mode, dim);
}

at::Tensor detail::wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::wavedec_backward_input)>(
          "signalllm::wavedec_backward_input");
  return op.call(grads, dec_lo, dec_hi, std::move(length), mode, dim);
}

std::tuple<at::Tensor, at::Tensor> detail::wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::wavedec_backward_filters)>(
          "signalllm::wavedec_backward_filters");
  return op.call(grads, input, dec_lo, dec_hi, mode, dim);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> detail::wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  static const auto op = find_operator<decltype(detail::wavedec_backward)>(
      "signalllm::wavedec_backward");
  return op.call(grads, input, dec_lo, dec_hi, mode, dim);
}

WavedecPlan plan_wavedec(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  WavedecPlan plan;
  plan.signal = check_signal(op, input, dim);
  check_filters(
      op, "dec_lo", dec_lo, "dec_hi", dec_hi, input, plan.signal, true);
  plan.mode = parse_mode(op, mode);
  plan.taps = dec_lo.size(-1);
  plan.lengths =
      analysis_lengths(op, plan.mode, plan.signal.length, plan.taps, level);
  return plan;
}

WavedecPlan plan_coefficients(
    std::string_view op,
    at::TensorList coeffs,
    const at::Tensor& lo,
    const at::Tensor& hi,
    int64_t length,
    std::string_view mode,
    int64_t dim) {
  TORCH_CHECK(!coeffs.empty(), op, ": the list of coefficients is empty");
  check_alike(op, "coefficient", coeffs);
  WavedecPlan plan;
  plan.signal = check_signal(op, coeffs[0], dim);
  plan.signal.length = length;
  plan.signal.sizes[plan.signal.dim] = length;
  check_filters(op, "lo", lo, "hi", hi, coeffs[0], plan.signal, true);
  plan.mode = parse_mode(op, mode);
  plan.taps = lo.size(-1);
  const int64_t levels = static_cast<int64_t>(coeffs.size()) - 1;
  plan.lengths = analysis_lengths(op, plan.mode, length, plan.taps, levels);
  for (int64_t i = 0; i <= levels; ++i) {
    const auto expected =
        plan.signal.sizes_for(plan.lengths[i == 0 ? levels : levels - i + 1]);
    TORCH_CHECK(
        coeffs[i].sizes() == expected &&
            coeffs[i].scalar_type() == coeffs[0].scalar_type(),
        op,
        ": coefficient ",
        i,
        " must have shape ",
        at::IntArrayRef(expected),
        " and one dtype with the others, got ",
        coeffs[i].sizes(),
        " ",
        coeffs[i].scalar_type());
  }
  return plan;
}

WavedecPlan plan_wavedec_backward_filters(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto length = check_signal(op, input, dim).length;
  auto plan = plan_coefficients(op, grads, dec_lo, dec_hi, length, mode, dim);
  const auto& sizes = plan.signal.sizes;
  check_like(op, "input", input, sizes, "the signal of grads", grads[0]);
  return plan;
}

namespace {

at::Tensor backward_input_composite(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim) {
  return composite::wavedec_backward_input(
      grads, dec_lo, dec_hi, length.guard_int(__FILE__, __LINE__), mode, dim);
}

/// Every device's own kernels, one after the other.
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_of_two(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  auto [lo, hi] =
      detail::wavedec_backward_filters(grads, input, dec_lo, dec_hi, mode, dim);
  return {
      detail::wavedec_backward_input(
          grads, dec_lo, dec_hi, input.sym_size(dim), mode, dim),
      lo,
      hi};
}

std::vector<at::Tensor> wavedec_meta(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode_name,
    int64_t dim) {
  const auto mode = parse_mode("wavedec", mode_name);
  const auto d = check_symbolic(
      "wavedec", input, dim, {{"dec_lo", dec_lo}, {"dec_hi", dec_hi}});
  check_level("wavedec", level);
  const int64_t taps = dec_lo.sym_size(-1).guard_int(__FILE__, __LINE__);
  auto sizes = input.sym_sizes().vec();
  if (level == -1) {
    level = max_level(sizes[d].guard_int(__FILE__, __LINE__), taps);
  }
  std::vector<at::Tensor> out(level + 1);
  for (int64_t l = 0; l < level; ++l) {
    sizes[d] = mode == Mode::periodization ? (sizes[d] + 1) / 2
                                           : (sizes[d] + (taps - 1)) / 2;
    out[level - l] = at::empty_symint(sizes, input.options());
  }
  out[0] = at::empty_symint(sizes, input.options());
  return out;
}

at::Tensor backward_input_meta(
    at::TensorList grads,
    const at::Tensor&,
    const at::Tensor&,
    c10::SymInt length,
    std::string_view,
    int64_t dim) {
  auto sizes = grads[0].sym_sizes().vec();
  sizes[dim < 0 ? dim + grads[0].dim() : dim] = std::move(length);
  return at::empty_symint(sizes, grads[0].options());
}

std::tuple<at::Tensor, at::Tensor> backward_filters_meta(
    at::TensorList,
    const at::Tensor&,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view,
    int64_t) {
  return {at::empty_like(dec_lo), at::empty_like(dec_hi)};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "wavedec(Tensor input, Tensor dec_lo, Tensor dec_hi, int level, "
      "str mode=\"reflect\", int dim=-2) -> Tensor[]",
      tags);
  m.def(
      "wavedec_backward_input(Tensor[] grads, Tensor dec_lo, Tensor dec_hi, "
      "SymInt length, str mode, int dim) -> Tensor",
      tags);
  m.def(
      "wavedec_backward_filters(Tensor[] grads, Tensor input, Tensor dec_lo, "
      "Tensor dec_hi, str mode, int dim) -> (Tensor, Tensor)",
      tags);
  m.def(
      "wavedec_backward(Tensor[] grads, Tensor input, Tensor dec_lo, "
      "Tensor dec_hi, str mode, int dim) -> (Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("wavedec", &composite::wavedec);
  m.impl("wavedec_backward_input", &backward_input_composite);
  m.impl("wavedec_backward_filters", &composite::wavedec_backward_filters);
  m.impl("wavedec_backward", &backward_of_two);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("wavedec", &wavedec_meta);
  m.impl("wavedec_backward_input", &backward_input_meta);
  m.impl("wavedec_backward_filters", &backward_filters_meta);
}

} // namespace signalllm::ops
