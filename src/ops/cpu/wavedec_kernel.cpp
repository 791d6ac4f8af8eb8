#include "ops/wavedec.h"

#include "ops/cpu/analysis.h"
#include "ops/cpu/bank_gradient.h"
#include "ops/cpu/synthesis.h"
#include "ops/cpu/synthesis_filters.h"
#include "ops/cpu/tensors.h"
#include "ops/wavedec_out.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using namespace cpu;

void wavedec_into(
    const WavedecPlan& plan,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    at::TensorList out) {
  const Layout layout(plan.signal, Layout::Few::beside);
  const int64_t levels = plan.levels();
  const auto x = layout.in(input, plan.signal);
  std::vector<at::Tensor> made;
  made.reserve(levels + 1);
  for (int64_t i = 0; i <= levels; ++i) {
    made.push_back(
        layout.out(out[i], plan.lengths[i == 0 ? levels : levels - i + 1]));
  }
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(dec_lo, layout, true);
    const auto hi = read_filter<A>(dec_hi, layout, true);
    Analysis<A> call;
    call.mode = plan.mode;
    call.storage = storage_of(input);
    call.batch = layout.batch;
    call.inner = layout.inner;
    call.entries = layout.entries;
    call.input = x.const_data_ptr();
    call.levels.reserve(levels);
    for (int64_t l = 0; l < levels; ++l) {
      call.levels.push_back(
          {plan.lengths[l],
           plan.lengths[l],
           plan.lengths[l + 1],
           made[levels - l].mutable_data_ptr()});
    }
    call.approximation = made[0].mutable_data_ptr();
    call.approximation_rows = plan.lengths[levels];
    call.lo = lo.data();
    call.hi = hi.data();
    call.taps = plan.taps;
    call.per_channel = dec_lo.dim() == 2;
    if (!call.per_channel) {
      call.lattice = find_lattice(lo.data(), hi.data(), plan.taps);
    }
    analyse(call);
  });
  for (int64_t i = 0; i <= levels; ++i) {
    layout.finish(made[i], out[i], plan.signal);
  }
}

std::vector<at::Tensor> wavedec_cpu(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {input.clone()};
  }
  std::vector<at::Tensor> out(levels + 1);
  for (int64_t i = 0; i <= levels; ++i) {
    out[i] = at::empty(
        plan.signal.sizes_for(plan.lengths[i == 0 ? levels : levels - i + 1]),
        input.options());
  }
  wavedec_into(plan, input, dec_lo, dec_hi, out);
  return out;
}

void wavedec_out_cpu(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim,
    at::TensorList out) {
  const auto plan =
      plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  check_wavedec_out(plan, input, dec_lo, dec_hi, out);
  if (plan.levels() == 0) {
    out[0].copy_(input);
    return;
  }
  wavedec_into(plan, input, dec_lo, dec_hi, out);
}

/// The transpose: the coefficients' gradients upsampled and folded back.
template <class A>
Synthesis<A> transpose_call(
    const WavedecPlan& plan,
    const Layout& layout,
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details, // of levels 1..n
    const std::vector<A>& filters,
    bool per_channel) {
  Synthesis<A> call;
  call.mode = plan.mode;
  call.storage = storage_of(approximation);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.entries = layout.entries;
  call.approximation = approximation.const_data_ptr();
  call.approximation_rows = plan.lengths.back();
  call.levels.reserve(plan.levels());
  for (int64_t l = 0; l < plan.levels(); ++l) {
    call.levels.push_back(
        {plan.lengths[l],
         plan.lengths[l],
         plan.lengths[l + 1],
         details[l].const_data_ptr()});
  }
  call.filters = filters.data();
  call.taps = plan.taps;
  call.per_channel = per_channel;
  call.lattice = synthesis_lattice(filters, plan.taps, per_channel);
  return call;
}

at::Tensor wavedec_backward_input_cpu(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t length,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_coefficients(
      "wavedec_backward_input", grads, dec_lo, dec_hi, length, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return grads[0].clone();
  }
  const Layout layout(plan.signal, Layout::Few::beside);
  const auto a = layout.in(grads[0], plan.signal);
  std::vector<at::Tensor> details;
  details.reserve(levels);
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(layout.in(grads[levels - l + 1], plan.signal));
  }
  const auto out = at::empty(plan.signal.sizes, grads[0].options());
  const auto made = layout.out(out, length);
  with_sum_type(storage_of(out), [&](auto zero) {
    using A = decltype(zero);
    const auto filters = synthesis_filters<A>(dec_lo, dec_hi, layout, true);
    auto call =
        transpose_call(plan, layout, a, details, filters, dec_lo.dim() == 2);
    call.output = made.mutable_data_ptr();
    synthesise(call);
  });
  layout.finish(made, out, plan.signal);
  return out;
}

std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters_cpu(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_wavedec_backward_filters(
      "wavedec_backward_filters", grads, input, dec_lo, dec_hi, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {at::zeros_like(dec_lo), at::zeros_like(dec_hi)};
  }
  const auto& s = plan.signal;
  const Layout layout(s, Layout::Few::beside);
  const auto x = layout.in(input, s);
  const auto g = layout.in(grads[0], s);
  std::vector<at::Tensor> details;
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(layout.in(grads[levels - l + 1], s));
  }
  FilterSums sums;
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(dec_lo, layout, true);
    const auto filters = synthesis_filters<A>(dec_lo, dec_hi, layout, true);
    const bool per_channel = dec_lo.dim() == 2;
    BankGradient<A> call;
    call.down.mode = plan.mode;
    call.down.storage = storage_of(input);
    call.down.batch = layout.batch;
    call.down.inner = layout.inner;
    call.down.entries = layout.entries;
    call.down.input = x.const_data_ptr();
    for (int64_t l = 0; l < levels; ++l) {
      call.down.levels.push_back(
          {plan.lengths[l], plan.lengths[l], plan.lengths[l + 1], nullptr});
    }
    call.down.lo = lo.data();
    call.down.taps = plan.taps;
    call.down.per_channel = per_channel;
    call.up = transpose_call(plan, layout, g, details, filters, per_channel);
    call.down.lattice = call.up.lattice;
    sums = bank_gradient(call);
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
  m.impl("wavedec", &wavedec_cpu);
  m.impl("wavedec.out", &wavedec_out_cpu);
  m.impl("wavedec_backward_input", &wavedec_backward_input_cpu);
  m.impl("wavedec_backward_filters", &wavedec_backward_filters_cpu);
}

} // namespace signalllm::ops
