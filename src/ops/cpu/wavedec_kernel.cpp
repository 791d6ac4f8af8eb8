#include "ops/wavedec.h"

#include "ops/cpu/analysis.h"
#include "ops/cpu/filter_gradient.h"
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
  const Layout layout(plan.signal);
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
    call.input = x.const_data_ptr();
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

/// One call for the transpose of some levels, the first of them making a
/// signal of lengths[0] values.
template <class A>
void transpose_levels(
    Mode mode,
    const Layout& layout,
    const std::vector<int64_t>& lengths,
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const std::vector<A>& filters,
    int64_t taps,
    bool per_channel,
    const at::Tensor& output) {
  Synthesis<A> call;
  call.mode = mode;
  call.storage = storage_of(output);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.approximation = approximation.const_data_ptr();
  call.approximation_rows = lengths.back();
  for (size_t l = 0; l + 1 < lengths.size(); ++l) {
    call.levels.push_back(
        {lengths[l], lengths[l], lengths[l + 1], details[l].const_data_ptr()});
  }
  call.output = output.mutable_data_ptr();
  call.filters = filters.data();
  call.taps = taps;
  call.per_channel = per_channel;
  synthesise(call);
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
  const Layout layout(plan.signal);
  const auto a = layout.in(grads[0], plan.signal);
  std::vector<at::Tensor> details;
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(layout.in(grads[levels - l + 1], plan.signal));
  }
  const auto out = at::empty(plan.signal.sizes, grads[0].options());
  const auto made = layout.out(out, length);
  with_sum_type(storage_of(out), [&](auto zero) {
    using A = decltype(zero);
    transpose_levels(
        plan.mode,
        layout,
        plan.lengths,
        a,
        details,
        synthesis_filters<A>(dec_lo, dec_hi, layout, true),
        plan.taps,
        dec_lo.dim() == 2,
        made);
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
  const auto s = check_signal("wavedec_backward_filters", input, dim);
  const auto plan = plan_coefficients(
      "wavedec_backward_filters", grads, dec_lo, dec_hi, s.length, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {at::zeros_like(dec_lo), at::zeros_like(dec_hi)};
  }
  const Layout layout(s);
  const auto type = accumulate_type(input.scalar_type());
  const auto options = input.options().dtype(type);
  const auto read = [&](const at::Tensor& c) {
    return layout.in(c, s).to(type);
  };
  const bool per_channel = dec_lo.dim() == 2;
  std::vector<double> glo, ghi;
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto lo = read_filter<A>(dec_lo, layout, true);
    const auto hi = read_filter<A>(dec_hi, layout, true);
    const auto transposed = synthesis_filters<A>(dec_lo, dec_hi, layout, true);
    const auto level_out = [&](int64_t l) {
      return at::empty({layout.batch, plan.lengths[l], layout.inner}, options);
    };
    // The approximations again.
    std::vector<at::Tensor> a{read(input)};
    for (int64_t l = 1; l < levels; ++l) {
      a.push_back(level_out(l));
      Analysis<A> call;
      call.mode = plan.mode;
      call.storage = storage_of(a[l]);
      call.batch = layout.batch;
      call.inner = layout.inner;
      call.input = a[l - 1].const_data_ptr();
      call.levels = {
          {plan.lengths[l - 1], plan.lengths[l - 1], plan.lengths[l], nullptr}};
      call.approximation = a[l].mutable_data_ptr();
      call.approximation_rows = plan.lengths[l];
      call.lo = lo.data();
      call.hi = hi.data();
      call.taps = plan.taps;
      call.per_channel = per_channel;
      analyse(call);
    }
    auto g = read(grads[0]);
    for (int64_t l = levels; l > 0; --l) {
      const auto gd = read(grads[levels - l + 1]);
      FilterGradient<A> call;
      call.mode = plan.mode;
      call.batch = layout.batch;
      call.inner = layout.inner;
      call.taps = plan.taps;
      call.per_channel = per_channel;
      call.x = a[l - 1].template const_data_ptr<A>();
      call.length = call.present = plan.lengths[l - 1];
      call.lo = g.template const_data_ptr<A>();
      call.hi = gd.template const_data_ptr<A>();
      call.coefficients = call.lo_rows = plan.lengths[l];
      add_filter_gradient(call, glo, ghi);
      if (l > 1) {
        const auto next = level_out(l - 1);
        transpose_levels(
            plan.mode,
            layout,
            {plan.lengths[l - 1], plan.lengths[l]},
            g,
            {gd},
            transposed,
            plan.taps,
            per_channel,
            next);
        g = next;
      }
    }
    // Tap k of the correlation is tap taps - 1 - k of the filter.
    const int64_t width = static_cast<int64_t>(glo.size()) / plan.taps;
    reverse_taps(glo, width);
    reverse_taps(ghi, width);
  });
  return {
      filter_gradient_like(dec_lo, layout, glo),
      filter_gradient_like(dec_hi, layout, ghi)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("wavedec", &wavedec_cpu);
  m.impl("wavedec.out", &wavedec_out_cpu);
  m.impl("wavedec_backward_input", &wavedec_backward_input_cpu);
  m.impl("wavedec_backward_filters", &wavedec_backward_filters_cpu);
}

} // namespace signalllm::ops
