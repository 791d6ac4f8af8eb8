// waverec and its backward operators: as many launches as wavedec's
// (wavedec_kernel.cpp). The synthesis is the transpose of an analysis that sees
// zeros outside, or, for a periodization, the periodic signal without a
// repeated last value.
#include "ops/mps/bank.h"
#include "ops/waverec_out.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

BankSetting setting_of(
    const ops::WaverecPlan& plan,
    const at::Tensor& lo,
    const at::Tensor& hi) {
  return {
      plan.signal,
      plan.mode == ops::Mode::periodization ? Border::periodization_zero
                                            : Border::zero,
      ops::analysis_offset(plan.mode, plan.taps),
      plan.lengths,
      lo,
      hi,
      /*reconstruction=*/true};
}

at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      ops::plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  const auto setting = setting_of(plan, rec_lo, rec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, coeffs[0].scalar_type())) {
    return ops::composite::waverec(coeffs, rec_lo, rec_hi, mode, dim);
  }
  auto out = at::empty(plan.signal.sizes, coeffs[0].options());
  synthesise(setting, coeffs[0], details_of(coeffs), out);
  return out;
}

at::Tensor& waverec_out(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    at::Tensor& out) {
  const auto plan =
      ops::plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  ops::check_waverec_out(plan, coeffs, rec_lo, rec_hi, out);
  const auto setting = setting_of(plan, rec_lo, rec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, out.scalar_type())) {
    return out.copy_(
        ops::composite::waverec(coeffs, rec_lo, rec_hi, mode, dim));
  }
  synthesise(setting, coeffs[0], details_of(coeffs), out);
  return out;
}

std::vector<at::Tensor> waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef sym_lengths,
    std::string_view mode,
    int64_t dim) {
  const auto lengths = C10_AS_INTARRAYREF_SLOW(sym_lengths);
  const auto plan = ops::plan_waverec_backward(
      "waverec_backward_input", grad, lengths, rec_lo, rec_hi, mode, dim);
  const auto setting = setting_of(plan, rec_lo, rec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, grad.scalar_type())) {
    return ops::composite::waverec_backward_input(
        grad, rec_lo, rec_hi, lengths, mode, dim);
  }
  auto out =
      empty_coefficients(grad, plan.signal, plan.lengths, plan.approximation);
  analyse(setting, grad, details_of(out), out[0]);
  return out;
}

/// All gradients; the first empty if they are not `wanted`.
std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor> gradients(
    std::string_view op,
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    bool wanted) {
  const auto plan = ops::plan_waverec_backward_filters(
      op, grad, coeffs, rec_lo, rec_hi, mode, dim);
  const auto setting = setting_of(plan, rec_lo, rec_hi);
  std::vector<at::Tensor> out;
  at::Tensor lo, hi;
  if (plan.levels() > 0 && bank_takes(setting, grad.scalar_type())) {
    if (wanted) {
      out = empty_coefficients(
          grad, plan.signal, plan.lengths, plan.approximation);
    }
    std::tie(lo, hi) = filter_gradients(
        setting,
        grad,
        coeffs[0],
        details_of(coeffs),
        wanted ? out[0] : at::Tensor(),
        wanted ? details_of(out) : out);
  }
  if (!lo.defined()) {
    std::tie(lo, hi) = ops::composite::waverec_backward_filters(
        grad, coeffs, rec_lo, rec_hi, mode, dim);
    if (wanted) {
      std::vector<int64_t> lengths;
      for (const auto& c : coeffs) {
        lengths.push_back(c.size(dim));
      }
      out = ops::composite::waverec_backward_input(
          grad, rec_lo, rec_hi, lengths, mode, dim);
    }
  }
  return {out, lo, hi};
}

std::tuple<at::Tensor, at::Tensor> waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  auto [out, lo, hi] = gradients(
      "waverec_backward_filters",
      grad,
      coeffs,
      rec_lo,
      rec_hi,
      mode,
      dim,
      false);
  return {lo, hi};
}

std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor> waverec_backward(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  return gradients(
      "waverec_backward", grad, coeffs, rec_lo, rec_hi, mode, dim, true);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("waverec", &waverec);
  m.impl("waverec.out", &waverec_out);
  m.impl("waverec_backward", &waverec_backward);
  m.impl("waverec_backward_input", &waverec_backward_input);
  m.impl("waverec_backward_filters", &waverec_backward_filters);
}

} // namespace signalllm::mps
