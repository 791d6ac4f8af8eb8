// One launch forward and one for the input's gradient; two for those of filters
// and weights, or for all: the groups' shares, and their sum. What does not fit
// a tile (more than twelve levels, a reach of thousands of positions in a
// signal as long) runs the composite path, several launches a level.
#include "ops/causal_wavelet_filter.h"
#include "ops/mps/causal_tile.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

using at::Tensor;

std::optional<CausalPlan> plan_filter(
    const ops::Signal& s,
    const Tensor& lo,
    const Tensor& weight,
    bool shares) {
  const auto levels = weight.size(1) - 2;
  auto plan = plan_causal(s, lo, levels, shares ? levels + 4 : 3);
  if (plan) {
    plan->tile.weight_rows = static_cast<uint32_t>(weight.size(0));
  }
  return plan;
}

Tensor causal_wavelet_filter(
    const Tensor& input,
    const Tensor& lo,
    const Tensor& hi,
    const Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter", input, lo, hi, weight, dim);
  const auto plan = plan_filter(s, lo, weight, false);
  const auto k = plan
      ? kernel("causal_wavelet_filter", input.scalar_type(), lo.scalar_type())
      : nullptr;
  if (!k) {
    return ops::composite::causal_wavelet_filter(input, lo, hi, weight, dim);
  }
  const auto out = at::empty(s.sizes, input.options());
  launch(
      k,
      plan->grid,
      out,
      input.contiguous(),
      lo.contiguous(),
      hi.contiguous(),
      weight.contiguous(),
      plan->tile);
  return out;
}

Tensor causal_wavelet_filter_backward_input(
    const Tensor& grad,
    const Tensor& lo,
    const Tensor& hi,
    const Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_input", grad, lo, hi, weight, dim);
  const auto plan = plan_filter(s, lo, weight, false);
  const auto k = plan ? kernel(
                            "causal_wavelet_filter_backward",
                            grad.scalar_type(),
                            lo.scalar_type())
                      : nullptr;
  if (!k) {
    return ops::composite::causal_wavelet_filter_backward_input(
        grad, lo, hi, weight, dim);
  }
  const auto out = at::empty(s.sizes, grad.options());
  launch(
      k,
      plan->grid,
      out,
      grad.contiguous(),
      lo.contiguous(),
      hi.contiguous(),
      weight.contiguous(),
      plan->tile);
  return out;
}

using FourTensors = std::tuple<Tensor, Tensor, Tensor, Tensor>;

/// Gradients of input, filters and weight; nothing where no kernel takes them.
std::optional<FourTensors> all_gradients(
    const char* op,
    const Tensor& grad,
    const Tensor& input,
    const Tensor& lo,
    const Tensor& hi,
    const Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter_backward(
      op, grad, input, lo, hi, weight, dim);
  const auto plan = plan_filter(s, lo, weight, true);
  const auto k = plan ? kernel(
                            "causal_wavelet_filter_shares",
                            input.scalar_type(),
                            lo.scalar_type())
                      : nullptr;
  const auto sum =
      k ? kernel("causal_wavelet_filter_sum", lo.scalar_type()) : nullptr;
  if (!sum) {
    return std::nullopt;
  }
  const auto dx = at::empty(s.sizes, input.options());
  const auto taps = lo.size(-1), levels = weight.size(1) - 2;
  const auto shares = at::empty(
      {plan->shares, (levels + 1) * taps + 2, s.inner},
      lo.options().dtype(at::kFloat));
  const auto h = hi.contiguous(), w = weight.contiguous();
  launch(
      k,
      plan->grid,
      dx,
      shares,
      grad.contiguous(),
      input.contiguous(),
      lo.contiguous(),
      h,
      w,
      plan->tile,
      plan->slices);
  const auto dlo = at::empty(lo.sizes(), lo.options());
  const auto dhi = at::empty(hi.sizes(), hi.options());
  const auto dweight = at::empty(weight.sizes(), weight.options());
  Grid outputs;
  outputs.x = 2 * taps + levels + 2;
  outputs.y = std::max(plan->tile.filter_rows, plan->tile.weight_rows);
  launch(
      sum, outputs, dlo, dhi, dweight, shares, h, w, plan->tile, plan->shares);
  return FourTensors(dx, dlo, dhi, dweight);
}

std::tuple<Tensor, Tensor, Tensor> causal_wavelet_filter_backward_filters(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& lo,
    const Tensor& hi,
    const Tensor& weight,
    int64_t dim) {
  const auto all = all_gradients(
      "causal_wavelet_filter_backward_filters",
      grad,
      input,
      lo,
      hi,
      weight,
      dim);
  if (!all) {
    return ops::composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
  }
  const auto& [dx, dlo, dhi, dweight] = *all;
  return {dlo, dhi, dweight};
}

FourTensors causal_wavelet_filter_backward(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& lo,
    const Tensor& hi,
    const Tensor& weight,
    int64_t dim) {
  const auto all = all_gradients(
      "causal_wavelet_filter_backward", grad, input, lo, hi, weight, dim);
  if (all) {
    return *all;
  }
  return std::tuple_cat(
      std::tuple(
          causal_wavelet_filter_backward_input(grad, lo, hi, weight, dim)),
      ops::composite::causal_wavelet_filter_backward_filters(
          grad, input, lo, hi, weight, dim));
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("causal_wavelet_filter", &causal_wavelet_filter);
  m.impl(
      "causal_wavelet_filter_backward_input",
      &causal_wavelet_filter_backward_input);
  m.impl(
      "causal_wavelet_filter_backward_filters",
      &causal_wavelet_filter_backward_filters);
  m.impl("causal_wavelet_filter_backward", &causal_wavelet_filter_backward);
}

} // namespace signalllm::mps
