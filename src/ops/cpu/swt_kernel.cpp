#include "ops/swt.h"

#include "ops/cpu/stationary.h"
#include "ops/cpu/synthesis_filters.h"
#include "ops/cpu/tensors.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using namespace cpu;

template <class A>
Stationary<A> stationary_call(
    const SwtPlan& plan,
    const Layout& layout,
    Storage storage,
    bool per_channel) {
  Stationary<A> call;
  call.storage = storage;
  call.batch = layout.batch;
  call.length = plan.signal.length;
  call.inner = layout.inner;
  call.levels = plan.levels;
  call.taps = plan.taps;
  call.per_channel = per_channel;
  return call;
}

std::vector<at::Tensor> swt_cpu(
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
  const Layout layout(s, Layout::Few::along);
  const auto x = layout.in(input, s);
  CoefficientsOut out(plan.levels + 1, layout, s, input.options());
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(dec_lo, layout, true);
    const auto hi = read_filter<A>(dec_hi, layout, true);
    auto call =
        stationary_call<A>(plan, layout, storage_of(input), dec_lo.dim() == 2);
    call.lo = lo.data();
    call.hi = hi.data();
    stationary_analyse(call, x.const_data_ptr(), out.at);
  });
  return out.finish();
}

at::Tensor iswt_cpu(
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
  const Layout layout(s, Layout::Few::along);
  const CoefficientsIn c(coeffs, layout, s);
  const auto out = at::empty(s.sizes, coeffs[0].options());
  const auto made = layout.out(out, s.length);
  with_sum_type(storage_of(out), [&](auto zero) {
    using A = decltype(zero);
    auto lo = read_filter<A>(rec_lo, layout, true);
    auto hi = read_filter<A>(rec_hi, layout, true);
    for (auto* f : {&lo, &hi}) {
      for (auto& tap : *f) {
        tap *= A(0.5);
      }
    }
    auto call =
        stationary_call<A>(plan, layout, storage_of(out), rec_lo.dim() == 2);
    call.up_lo = lo.data();
    call.up_hi = hi.data();
    stationary_synthesise(call, c.at, made.mutable_data_ptr());
  });
  layout.finish(made, out, s);
  return out;
}

std::tuple<at::Tensor, at::Tensor> swt_backward_filters_cpu(
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
  const Layout layout(s, Layout::Few::along);
  const CoefficientsIn g(grads, layout, s);
  const auto x = layout.in(input, s);
  FilterSums sums;
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(dec_lo, layout, true);
    const auto up_lo = read_filter<A>(dec_lo, layout, false);
    const auto up_hi = read_filter<A>(dec_hi, layout, false);
    auto call =
        stationary_call<A>(plan, layout, storage_of(input), dec_lo.dim() == 2);
    call.lo = lo.data();
    call.up_lo = up_lo.data();
    call.up_hi = up_hi.data();
    sums = stationary_gradient(call, x.const_data_ptr(), g.at);
    // Tap k of the correlation is tap taps - 1 - k of the filter.
    const int64_t width = static_cast<int64_t>(sums.lo.size()) / plan.taps;
    reverse_taps(sums.lo, width);
    reverse_taps(sums.hi, width);
  });
  return {
      filter_gradient_like(dec_lo, layout, sums.lo),
      filter_gradient_like(dec_hi, layout, sums.hi)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("swt", &swt_cpu);
  m.impl("iswt", &iswt_cpu);
  m.impl("swt_backward_filters", &swt_backward_filters_cpu);
}

} // namespace signalllm::ops
