// wavedec and its backward operators: one launch each for all levels, two with
// the filters' gradients, where a tile of all levels fits into threadgroup
// memory (tile_plan.h: 4,096 values, 8,192 with the filters' gradients) and
// there are at most 10 levels. An analysis reads (taps - 2) (2^(levels - 1) -
// 1) rows of level 1 beyond a tile's own: 8 taps fit for 6 levels of any
// signal, 20 for 5, 40 for 4, 76 for 3, and for more where there are few
// channels or the signal is short; a synthesis reads fewer. Otherwise as many
// launches as needed, each with as many levels as fit, and floats between them.
#include "ops/mps/bank.h"
#include "ops/wavedec_out.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

BankSetting setting_of(
    const ops::WavedecPlan& plan,
    const at::Tensor& lo,
    const at::Tensor& hi) {
  return {
      plan.signal,
      static_cast<Border>(plan.mode),
      ops::analysis_offset(plan.mode, plan.taps),
      plan.lengths,
      lo,
      hi,
      /*reconstruction=*/false};
}

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      ops::plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  const auto setting = setting_of(plan, dec_lo, dec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, input.scalar_type())) {
    return ops::composite::wavedec(input, dec_lo, dec_hi, level, mode, dim);
  }
  auto out =
      empty_coefficients(input, plan.signal, plan.lengths, plan.lengths.back());
  analyse(setting, input, details_of(out), out[0]);
  return out;
}

void wavedec_out(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim,
    at::TensorList out) {
  const auto plan =
      ops::plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  ops::check_wavedec_out(plan, input, dec_lo, dec_hi, out);
  const auto setting = setting_of(plan, dec_lo, dec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, input.scalar_type())) {
    const auto made =
        ops::composite::wavedec(input, dec_lo, dec_hi, level, mode, dim);
    for (size_t i = 0; i < made.size(); ++i) {
      out[i].copy_(made[i]);
    }
    return;
  }
  analyse(setting, input, details_of(out), out[0]);
}

at::Tensor wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim) {
  const auto n = length.guard_int(__FILE__, __LINE__);
  const auto plan = ops::plan_coefficients(
      "wavedec_backward_input", grads, dec_lo, dec_hi, n, mode, dim);
  const auto setting = setting_of(plan, dec_lo, dec_hi);
  if (plan.levels() == 0 || !bank_takes(setting, grads[0].scalar_type())) {
    return ops::composite::wavedec_backward_input(
        grads, dec_lo, dec_hi, n, mode, dim);
  }
  auto out = at::empty(plan.signal.sizes, grads[0].options());
  synthesise(setting, grads[0], details_of(grads), out);
  return out;
}

/// All three gradients; the first undefined if it is not `wanted`.
std::tuple<at::Tensor, at::Tensor, at::Tensor> gradients(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim,
    bool wanted) {
  const auto plan = ops::plan_wavedec_backward_filters(
      op, grads, input, dec_lo, dec_hi, mode, dim);
  const auto setting = setting_of(plan, dec_lo, dec_hi);
  at::Tensor out, lo, hi;
  if (plan.levels() > 0 && bank_takes(setting, input.scalar_type())) {
    out = wanted ? at::empty(plan.signal.sizes, input.options()) : out;
    std::tie(lo, hi) =
        filter_gradients(setting, input, grads[0], details_of(grads), out, {});
  }
  if (!lo.defined()) {
    std::tie(lo, hi) = ops::composite::wavedec_backward_filters(
        grads, input, dec_lo, dec_hi, mode, dim);
    if (wanted) {
      out = ops::composite::wavedec_backward_input(
          grads, dec_lo, dec_hi, plan.lengths[0], mode, dim);
    }
  }
  return {out, lo, hi};
}

std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  auto [out, lo, hi] = gradients(
      "wavedec_backward_filters",
      grads,
      input,
      dec_lo,
      dec_hi,
      mode,
      dim,
      false);
  return {lo, hi};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  return gradients(
      "wavedec_backward", grads, input, dec_lo, dec_hi, mode, dim, true);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("wavedec", &wavedec);
  m.impl("wavedec.out", &wavedec_out);
  m.impl("wavedec_backward", &wavedec_backward);
  m.impl("wavedec_backward_input", &wavedec_backward_input);
  m.impl("wavedec_backward_filters", &wavedec_backward_filters);
}

} // namespace signalllm::mps
