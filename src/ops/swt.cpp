#include <signalllm/ops/swt.h>

#include "ops/checks.h"
#include "ops/circular_bank.h"
#include "ops/find_operator.h"
#include "ops/swt.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  static const auto op = find_operator<decltype(swt)>("signalllm::swt");
  return op.call(input, dec_lo, dec_hi, level, dim);
}

std::tuple<at::Tensor, at::Tensor> detail::swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim) {
  static const auto op = find_operator<decltype(detail::swt_backward_filters)>(
      "signalllm::swt_backward_filters");
  return op.call(grads, input, dec_lo, dec_hi, dim);
}

SwtPlan plan_swt(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  SwtPlan plan;
  plan.signal = check_signal(op, input, dim);
  check_filters(
      op, "dec_lo", dec_lo, "dec_hi", dec_hi, input, plan.signal, true);
  check_level(op, level);
  plan.taps = dec_lo.size(-1);
  plan.levels = level == -1 ? max_level(plan.signal.length, plan.taps) : level;
  return plan;
}

SwtPlan plan_swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim) {
  constexpr std::string_view op = "swt_backward_filters";
  auto plan = plan_iswt(op, grads, "dec_lo", dec_lo, "dec_hi", dec_hi, dim);
  check_like(op, "input", input, grads[0].sizes(), "grads[0]", grads[0]);
  return plan;
}

namespace composite {

std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  const auto plan = plan_swt("swt", input, dec_lo, dec_hi, level, dim);
  if (plan.levels == 0) {
    return {input.clone()};
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(input.scalar_type());
  const auto lo = expand_filter(dec_lo, s, type);
  const auto hi = expand_filter(dec_hi, s, type);
  const auto finish = [&](const at::Tensor& c) {
    return own(c, input.scalar_type()).reshape(s.sizes);
  };
  auto a = canonical(input, s).to(type);
  std::vector<at::Tensor> out(plan.levels + 1);
  for (int64_t l = 0; l < plan.levels; ++l) {
    const int64_t dilation = int64_t{1} << l;
    out[plan.levels - l] =
        finish(bank::circular_filter(a, hi, dilation, plan.taps / 2));
    a = bank::circular_filter(a, lo, dilation, plan.taps / 2);
  }
  out[0] = finish(a);
  return out;
}

std::tuple<at::Tensor, at::Tensor> swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim) {
  const auto plan =
      plan_swt_backward_filters(grads, input, dec_lo, dec_hi, dim);
  if (plan.levels == 0) {
    return {at::zeros_like(dec_lo), at::zeros_like(dec_hi)};
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(input.scalar_type());
  const auto lo = expand_filter(dec_lo, s, type);
  const auto hi = expand_filter(dec_hi, s, type);
  const int64_t offset = plan.taps / 2;
  const bool shared = dec_lo.dim() == 1;
  const auto view = [&](const at::Tensor& c) {
    return canonical(c, s).to(type);
  };
  std::vector<at::Tensor> a{view(input)};
  for (int64_t l = 1; l < plan.levels; ++l) {
    a.push_back(
        bank::circular_filter(a.back(), lo, int64_t{1} << (l - 1), offset));
  }
  at::Tensor glo, ghi;
  auto g = view(grads[0]);
  for (int64_t l = plan.levels - 1; l >= 0; --l) {
    const int64_t dilation = int64_t{1} << l;
    const auto gradient = [&](const at::Tensor& of) {
      return bank::circular_filter_gradient(
          of, a[l], plan.taps, dilation, offset, shared);
    };
    const auto gd = view(grads[plan.levels - l]);
    glo = glo.defined() ? glo + gradient(g) : gradient(g);
    ghi = ghi.defined() ? ghi + gradient(gd) : gradient(gd);
    if (l > 0) {
      g = bank::circular_filter(g, lo.flip(1), dilation, offset - 1) +
          bank::circular_filter(gd, hi.flip(1), dilation, offset - 1);
    }
  }
  return {reduce_filter(glo, dec_lo, s), reduce_filter(ghi, dec_hi, s)};
}

} // namespace composite

namespace {

std::vector<at::Tensor> swt_meta(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  check_symbolic("swt", input, dim, {{"dec_lo", dec_lo}, {"dec_hi", dec_hi}});
  check_level("swt", level);
  if (level == -1) {
    level = max_level(
        input.sym_size(dim).guard_int(__FILE__, __LINE__),
        dec_lo.sym_size(-1).guard_int(__FILE__, __LINE__));
  }
  std::vector<at::Tensor> out(level + 1);
  for (auto& c : out) {
    c = at::empty_symint(input.sym_sizes(), input.options());
  }
  return out;
}

std::tuple<at::Tensor, at::Tensor> backward_filters_meta(
    at::TensorList,
    const at::Tensor&,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t) {
  return {at::empty_like(dec_lo), at::empty_like(dec_hi)};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "swt(Tensor input, Tensor dec_lo, Tensor dec_hi, int level, int dim=-2) "
      "-> Tensor[]",
      tags);
  m.def(
      "swt_backward_filters(Tensor[] grads, Tensor input, Tensor dec_lo, "
      "Tensor dec_hi, int dim) -> (Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("swt", &composite::swt);
  m.impl("swt_backward_filters", &composite::swt_backward_filters);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("swt", &swt_meta);
  m.impl("swt_backward_filters", &backward_filters_meta);
}

} // namespace signalllm::ops
