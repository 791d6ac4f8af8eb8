#include "ops/waverec.h"

#include "ops/cpu/analysis.h"
#include "ops/cpu/bank_gradient.h"
#include "ops/cpu/synthesis.h"
#include "ops/cpu/synthesis_filters.h"
#include "ops/cpu/tensors.h"
#include "ops/waverec_out.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using namespace cpu;

/// Synthesis drops what lies outside, or wraps it.
Mode same(Mode mode) {
  return mode == Mode::periodization ? mode : Mode::zero;
}

template <class A>
Synthesis<A> synthesis_call(
    const WaverecPlan& plan,
    const Layout& layout,
    const at::Tensor& a,
    const std::vector<at::Tensor>& details, // of levels 1..n
    const std::vector<A>& filters,
    bool per_channel) {
  Synthesis<A> call;
  call.mode = same(plan.mode);
  call.storage = storage_of(a);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.entries = layout.entries;
  call.approximation = a.const_data_ptr();
  call.approximation_rows = plan.approximation;
  call.levels.reserve(plan.levels());
  for (int64_t l = 1; l <= plan.levels(); ++l) {
    call.levels.push_back(
        {plan.synthesised(l),
         plan.lengths[l - 1],
         plan.lengths[l],
         details[l - 1].const_data_ptr()});
  }
  call.filters = filters.data();
  call.taps = plan.taps;
  call.per_channel = per_channel;
  call.lattice = synthesis_lattice(filters, plan.taps, per_channel);
  return call;
}

void waverec_into(
    const WaverecPlan& plan,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    const at::Tensor& out) {
  const Layout layout(plan.signal, Layout::Few::beside);
  const int64_t levels = plan.levels();
  const auto a = layout.in(coeffs[0], plan.signal);
  std::vector<at::Tensor> details;
  details.reserve(levels);
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(layout.in(coeffs[levels - l + 1], plan.signal));
  }
  const auto made = layout.out(out, plan.lengths[0]);
  with_sum_type(storage_of(out), [&](auto zero) {
    using A = decltype(zero);
    const auto filters = synthesis_filters<A>(rec_lo, rec_hi, layout, false);
    auto call =
        synthesis_call(plan, layout, a, details, filters, rec_lo.dim() == 2);
    call.output = made.mutable_data_ptr();
    synthesise(call);
  });
  layout.finish(made, out, plan.signal);
}

at::Tensor waverec_cpu(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  if (plan.levels() == 0) {
    return coeffs[0].clone();
  }
  auto out = at::empty(plan.signal.sizes, coeffs[0].options());
  waverec_into(plan, coeffs, rec_lo, rec_hi, out);
  return out;
}

at::Tensor& waverec_out_cpu(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim,
    at::Tensor& out) {
  const auto plan = plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  check_waverec_out(plan, coeffs, rec_lo, rec_hi, out);
  if (plan.levels() == 0) {
    return out.copy_(coeffs[0]);
  }
  waverec_into(plan, coeffs, rec_lo, rec_hi, out);
  return out;
}

/// The transpose: an analysis of the gradient. `details` may hold nulls.
template <class A>
Analysis<A> transpose_call(
    const WaverecPlan& plan,
    const Layout& layout,
    const at::Tensor& grad,
    const std::vector<void*>& details,
    const std::vector<A>& lo,
    const std::vector<A>& hi,
    bool per_channel) {
  Analysis<A> call;
  call.mode = same(plan.mode);
  call.storage = storage_of(grad);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.entries = layout.entries;
  call.input = grad.const_data_ptr();
  call.levels.reserve(plan.levels());
  for (int64_t l = 0; l < plan.levels(); ++l) {
    call.levels.push_back(
        {plan.synthesised(l + 1),
         plan.lengths[l],
         plan.lengths[l + 1],
         details[l]});
  }
  call.approximation_rows = plan.approximation;
  call.lo = lo.data();
  call.hi = hi.data();
  call.taps = plan.taps;
  call.per_channel = per_channel;
  if (!per_channel) {
    call.lattice = find_lattice(lo.data(), hi.data(), plan.taps);
  }
  return call;
}

std::vector<at::Tensor> waverec_backward_input_cpu(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    at::IntArrayRef lengths,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec_backward(
      "waverec_backward_input", grad, lengths, rec_lo, rec_hi, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {grad.clone()};
  }
  const auto& s = plan.signal;
  const Layout layout(s, Layout::Few::beside);
  const auto g = layout.in(grad, s);
  std::vector<at::Tensor> out, made;
  out.reserve(levels + 1);
  made.reserve(levels + 1);
  std::vector<void*> details(levels);
  for (int64_t i = 0; i <= levels; ++i) {
    out.push_back(at::empty(s.sizes_for(lengths[i]), grad.options()));
    made.push_back(layout.out(out[i], lengths[i]));
    if (i > 0) {
      details[levels - i] = made[i].mutable_data_ptr();
    }
  }
  with_sum_type(storage_of(grad), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(rec_lo, layout, false);
    const auto hi = read_filter<A>(rec_hi, layout, false);
    auto call =
        transpose_call(plan, layout, g, details, lo, hi, rec_lo.dim() == 2);
    call.approximation = made[0].mutable_data_ptr();
    analyse(call);
  });
  if (plan.approximation > plan.lengths[levels]) {
    // The value that the synthesis dropped has no influence.
    made[0]
        .view({layout.batch, plan.approximation, layout.inner})
        .select(1, plan.approximation - 1)
        .zero_();
  }
  for (int64_t i = 0; i <= levels; ++i) {
    layout.finish(made[i], out[i], s);
  }
  return out;
}

std::tuple<at::Tensor, at::Tensor> waverec_backward_filters_cpu(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec_backward_filters(
      "waverec_backward_filters", grad, coeffs, rec_lo, rec_hi, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {at::zeros_like(rec_lo), at::zeros_like(rec_hi)};
  }
  const auto& s = plan.signal;
  const Layout layout(s, Layout::Few::beside);
  const auto g = layout.in(grad, s);
  const auto a = layout.in(coeffs[0], s);
  std::vector<at::Tensor> details;
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(layout.in(coeffs[levels - l + 1], s));
  }
  FilterSums sums;
  with_sum_type(storage_of(grad), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(rec_lo, layout, false);
    const auto hi = read_filter<A>(rec_hi, layout, false);
    const auto filters = synthesis_filters<A>(rec_lo, rec_hi, layout, false);
    const bool per_channel = rec_lo.dim() == 2;
    const std::vector<void*> none(levels, nullptr);
    const BankGradient<A> call{
        transpose_call(plan, layout, g, none, lo, hi, per_channel),
        synthesis_call(plan, layout, a, details, filters, per_channel)};
    sums = bank_gradient(call);
  });
  return {
      filter_gradient_like(rec_lo, layout, sums.lo),
      filter_gradient_like(rec_hi, layout, sums.hi)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("waverec", &waverec_cpu);
  m.impl("waverec.out", &waverec_out_cpu);
  m.impl("waverec_backward_input", &waverec_backward_input_cpu);
  m.impl("waverec_backward_filters", &waverec_backward_filters_cpu);
}

} // namespace signalllm::ops
