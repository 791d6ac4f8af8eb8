#include <signalllm/ops/iswt.h>

#include "ops/checks.h"
#include "ops/circular_bank.h"
#include "ops/find_operator.h"
#include "ops/swt.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor iswt(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim) {
  static const auto op = find_operator<decltype(iswt)>("signalllm::iswt");
  return op.call(coeffs, rec_lo, rec_hi, dim);
}

SwtPlan plan_iswt(
    std::string_view op,
    at::TensorList coeffs,
    std::string_view lo_name,
    const at::Tensor& lo,
    std::string_view hi_name,
    const at::Tensor& hi,
    int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), op, ": coeffs is empty; it must hold at least cA");
  check_alike(op, "coeffs", coeffs);
  SwtPlan plan;
  plan.signal = check_signal(op, coeffs[0], dim);
  check_filters(op, lo_name, lo, hi_name, hi, coeffs[0], plan.signal, true);
  plan.taps = lo.size(-1);
  plan.levels = static_cast<int64_t>(coeffs.size()) - 1;
  check_all_like_first(op, "coeffs", coeffs);
  return plan;
}

at::Tensor composite::iswt(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim) {
  const auto plan =
      plan_iswt("iswt", coeffs, "rec_lo", rec_lo, "rec_hi", rec_hi, dim);
  if (plan.levels == 0) {
    return coeffs[0].clone();
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(coeffs[0].scalar_type());
  const auto lo = expand_filter(rec_lo, s, type) * 0.5;
  const auto hi = expand_filter(rec_hi, s, type) * 0.5;
  const int64_t offset = plan.taps / 2 - 1;
  auto a = canonical(coeffs[0], s).to(type);
  for (int64_t l = plan.levels - 1; l >= 0; --l) {
    const int64_t dilation = int64_t{1} << l;
    const auto d = canonical(coeffs[plan.levels - l], s).to(type);
    a = bank::circular_filter(a, lo, dilation, offset) +
        bank::circular_filter(d, hi, dilation, offset);
  }
  return own(a, coeffs[0].scalar_type()).reshape(s.sizes);
}

namespace {

at::Tensor iswt_meta(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim) {
  TORCH_CHECK(
      !coeffs.empty(), "iswt: coeffs is empty; it must hold at least cA");
  check_alike("iswt", "coeffs", coeffs);
  check_symbolic(
      "iswt", coeffs[0], dim, {{"rec_lo", rec_lo}, {"rec_hi", rec_hi}});
  return at::empty_symint(coeffs[0].sym_sizes(), coeffs[0].options());
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "iswt(Tensor[] coeffs, Tensor rec_lo, Tensor rec_hi, int dim=-2) "
      "-> Tensor",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("iswt", &composite::iswt);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("iswt", &iswt_meta);
}

} // namespace signalllm::ops
