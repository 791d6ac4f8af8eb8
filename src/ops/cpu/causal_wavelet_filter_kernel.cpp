#include "ops/causal_wavelet_filter.h"

#include "ops/cpu/causal.h"
#include "ops/cpu/tensors.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using namespace cpu;

/// The arguments of one call as plain memory.
template <class A>
struct FilterCall {
  std::vector<A> lo, hi, weight;
  Causal<A> call;

  FilterCall(
      const Signal& s,
      const Layout& layout,
      const at::Tensor& input,
      const at::Tensor& lo_filter,
      const at::Tensor& hi_filter,
      const at::Tensor& weights)
      : lo(read_filter<A>(lo_filter, layout, false)),
        hi(read_filter<A>(hi_filter, layout, false)),
        weight(read_filter<A>(read_out(weights), layout, false)) {
    call.storage = storage_of(input);
    call.batch = layout.batch;
    call.length = s.length;
    call.inner = layout.inner;
    call.levels = weights.size(1) - 2;
    call.lo = lo.data();
    call.hi = hi.data();
    call.taps = lo_filter.size(-1);
    call.per_channel = lo_filter.dim() == 2;
    call.weight = weight.data();
    call.weight_per_channel = weights.size(0) > 1;
  }

  /// One row for all channels is a shared filter.
  static at::Tensor read_out(const at::Tensor& weights) {
    return weights.size(0) == 1 ? weights.select(0, 0) : weights;
  }
};

at::Tensor causal_wavelet_filter_cpu(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter(
      "causal_wavelet_filter", input, lo, hi, weight, dim);
  const Layout layout(s);
  const auto x = layout.in(input, s);
  const auto out = at::empty(s.sizes, input.options());
  const auto made = layout.out(out, s.length);
  with_sum_type(storage_of(input), [&](auto zero) {
    const FilterCall<decltype(zero)> f(s, layout, input, lo, hi, weight);
    causal_filter(f.call, x.const_data_ptr(), made.mutable_data_ptr());
  });
  layout.finish(made, out, s);
  return out;
}

at::Tensor causal_wavelet_filter_backward_input_cpu(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_input", grad, lo, hi, weight, dim);
  const Layout layout(s);
  const auto g = layout.in(grad, s);
  const auto out = at::empty(s.sizes, grad.options());
  const auto made = layout.out(out, s.length);
  with_sum_type(storage_of(grad), [&](auto zero) {
    const FilterCall<decltype(zero)> f(s, layout, grad, lo, hi, weight);
    causal_filter_transpose(
        f.call, g.const_data_ptr(), made.mutable_data_ptr());
  });
  layout.finish(made, out, s);
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters_cpu(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter_backward(
      "causal_wavelet_filter_backward_filters",
      grad,
      input,
      lo,
      hi,
      weight,
      dim);
  const Layout layout(s);
  const auto x = layout.in(input, s);
  const auto g = layout.in(grad, s);
  CausalGradients sums;
  with_sum_type(storage_of(input), [&](auto zero) {
    const FilterCall<decltype(zero)> f(s, layout, input, lo, hi, weight);
    sums =
        causal_filter_gradient(f.call, x.const_data_ptr(), g.const_data_ptr());
  });
  return {
      filter_gradient_like(lo, layout, sums.lo),
      filter_gradient_like(hi, layout, sums.hi),
      filter_gradient_like(weight, layout, sums.weight)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("causal_wavelet_filter", &causal_wavelet_filter_cpu);
  m.impl(
      "causal_wavelet_filter_backward_input",
      &causal_wavelet_filter_backward_input_cpu);
  m.impl(
      "causal_wavelet_filter_backward_filters",
      &causal_wavelet_filter_backward_filters_cpu);
}

} // namespace signalllm::ops
