#include "ops/waverec.h"

#include "ops/cpu/analysis.h"
#include "ops/cpu/filter_gradient.h"
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

/// Levels l > first of a reconstruction from `a` with `rows` a batch entry.
template <class A>
void synthesise_levels(
    const WaverecPlan& plan,
    const Layout& layout,
    const at::Tensor& a,
    int64_t rows,
    const std::vector<at::Tensor>& details, // of levels 1..n
    int64_t first,
    int64_t last,
    const std::vector<A>& filters,
    bool per_channel,
    const at::Tensor& output) {
  Synthesis<A> call;
  call.mode = same(plan.mode);
  call.storage = storage_of(output);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.approximation = a.const_data_ptr();
  call.approximation_rows = rows;
  for (int64_t l = first + 1; l <= last; ++l) {
    call.levels.push_back(
        {plan.synthesised(l),
         plan.lengths[l - 1],
         plan.lengths[l],
         details[l - 1].const_data_ptr()});
  }
  call.output = output.mutable_data_ptr();
  call.filters = filters.data();
  call.taps = plan.taps;
  call.per_channel = per_channel;
  synthesise(call);
}

void waverec_into(
    const WaverecPlan& plan,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    const at::Tensor& out) {
  const Layout layout(plan.signal);
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
    synthesise_levels<A>(
        plan,
        layout,
        a,
        plan.approximation,
        details,
        0,
        levels,
        synthesis_filters<A>(rec_lo, rec_hi, layout, false),
        rec_lo.dim() == 2,
        made);
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

/// Levels first + 1 .. last of the transpose; `details` null where unwanted.
template <class A>
void analyse_levels(
    const WaverecPlan& plan,
    const Layout& layout,
    const at::Tensor& grad,
    int64_t first,
    int64_t last,
    const std::vector<void*>& details,
    const std::vector<A>& lo,
    const std::vector<A>& hi,
    bool per_channel,
    const at::Tensor& approximation,
    int64_t rows) {
  Analysis<A> call;
  call.mode = same(plan.mode);
  call.storage = storage_of(grad);
  call.batch = layout.batch;
  call.inner = layout.inner;
  call.input = grad.const_data_ptr();
  for (int64_t l = first; l < last; ++l) {
    call.levels.push_back(
        {plan.synthesised(l + 1),
         plan.lengths[l],
         plan.lengths[l + 1],
         details[l - first]});
  }
  call.approximation = approximation.mutable_data_ptr();
  call.approximation_rows = rows;
  call.lo = lo.data();
  call.hi = hi.data();
  call.taps = plan.taps;
  call.per_channel = per_channel;
  analyse(call);
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
  const Layout layout(s);
  const auto g = layout.in(grad, s);
  std::vector<at::Tensor> out, made;
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
    analyse_levels<A>(
        plan,
        layout,
        g,
        0,
        levels,
        details,
        read_filter<A>(rec_lo, layout, false),
        read_filter<A>(rec_hi, layout, false),
        rec_lo.dim() == 2,
        made[0],
        plan.approximation);
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
  const auto plan = plan_waverec(
      "waverec_backward_filters", coeffs, rec_lo, rec_hi, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {at::zeros_like(rec_lo), at::zeros_like(rec_hi)};
  }
  const auto& s = plan.signal;
  const Layout layout(s);
  const auto type = accumulate_type(grad.scalar_type());
  const auto options = grad.options().dtype(type);
  const auto read = [&](const at::Tensor& c) {
    return layout.in(c, s).to(type);
  };
  const bool per_channel = rec_lo.dim() == 2;
  std::vector<double> glo, ghi;
  with_sum_type(storage_of(grad), [&](auto zero) {
    using A = decltype(zero);
    const auto filters = synthesis_filters<A>(rec_lo, rec_hi, layout, false);
    const auto lo = read_filter<A>(rec_lo, layout, false);
    const auto hi = read_filter<A>(rec_hi, layout, false);
    const auto level_out = [&](int64_t l) {
      return at::empty({layout.batch, plan.lengths[l], layout.inner}, options);
    };
    const auto rows = [&](int64_t l) {
      return l == levels ? plan.approximation : plan.lengths[l];
    };
    std::vector<at::Tensor> a(levels + 1), d(levels);
    a[levels] = read(coeffs[0]);
    for (int64_t l = levels; l > 0; --l) {
      d[l - 1] = read(coeffs[levels - l + 1]);
      if (l > 1) {
        a[l - 1] = level_out(l - 1);
        synthesise_levels<A>(
            plan,
            layout,
            a[l],
            rows(l),
            d,
            l - 1,
            l,
            filters,
            per_channel,
            a[l - 1]);
      }
    }
    auto g = read(grad);
    for (int64_t l = 1; l <= levels; ++l) {
      FilterGradient<A> call;
      call.mode = same(plan.mode);
      call.batch = layout.batch;
      call.inner = layout.inner;
      call.taps = plan.taps;
      call.per_channel = per_channel;
      call.x = g.template const_data_ptr<A>();
      call.length = plan.synthesised(l);
      call.present = plan.lengths[l - 1];
      call.lo = a[l].template const_data_ptr<A>();
      call.lo_rows = rows(l);
      call.hi = d[l - 1].template const_data_ptr<A>();
      call.coefficients = plan.lengths[l];
      add_filter_gradient(call, glo, ghi);
      if (l < levels) {
        const auto next = level_out(l);
        analyse_levels<A>(
            plan,
            layout,
            g,
            l - 1,
            l,
            {nullptr},
            lo,
            hi,
            per_channel,
            next,
            plan.lengths[l]);
        g = next;
      }
    }
  });
  return {
      filter_gradient_like(rec_lo, layout, glo),
      filter_gradient_like(rec_hi, layout, ghi)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("waverec", &waverec_cpu);
  m.impl("waverec.out", &waverec_out_cpu);
  m.impl("waverec_backward_input", &waverec_backward_input_cpu);
  m.impl("waverec_backward_filters", &waverec_backward_filters_cpu);
}

} // namespace signalllm::ops
