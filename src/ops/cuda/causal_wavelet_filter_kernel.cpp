#include "causal_run.h"

#include "ops/causal_wavelet_filter.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter", input, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes_causal(s)) {
    return ops::composite::causal_wavelet_filter(input, lo, hi, weight, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto x = input.contiguous();
  auto out = at::empty(s.sizes, input.options());
  const auto sum = ops::accumulate_type(input.scalar_type());
  const FilterPair f(lo, hi, sum, false);
  const CausalRun run{
      CausalKind::filter,
      s,
      f,
      input.scalar_type(),
      causal_dilations(weight.size(1) - 2, false),
      {},
      weight.to(sum).contiguous(),
      x};
  run(x, out);
  return out;
}

at::Tensor causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_input", grad, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes_causal(s)) {
    return ops::composite::causal_wavelet_filter_backward_input(
        grad, lo, hi, weight, dim);
  }
  const c10::cuda::CUDAGuard guard(grad.device());
  const auto g = grad.contiguous();
  auto out = at::empty(s.sizes, grad.options());
  const auto sum = ops::accumulate_type(grad.scalar_type());
  const FilterPair f(lo, hi, sum, false);
  const CausalRun run{
      CausalKind::filter_transposed,
      s,
      f,
      grad.scalar_type(),
      causal_dilations(weight.size(1) - 2, true),
      {},
      weight.to(sum).contiguous(),
      g};
  run(g, out);
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> filter_gradients(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    const ops::Signal& s,
    bool want_input) {
  const c10::cuda::CUDAGuard guard(input.device());
  const int64_t levels = weight.size(1) - 2, taps = lo.size(-1);
  const auto type = input.scalar_type();
  const auto sum = ops::accumulate_type(type);
  const FilterPair f(lo, hi, sum, false);
  const auto w = weight.to(sum).contiguous();
  const auto g = grad.contiguous();
  auto a = causal_states(input.contiguous(), s, f, levels);
  at::Tensor out;
  if (want_input) {
    out = at::empty(s.sizes, grad.options());
  }
  const auto finish =
      [&](const at::Tensor& glo, const at::Tensor& ghi, at::Tensor gweight) {
        gweight = weight.size(0) == 1
            ? gweight.sum(0, true).to(weight.scalar_type())
            : ops::reduce_filter(gweight, weight, s);
        return std::tuple{
            out,
            ops::reduce_filter(glo, lo, s),
            ops::reduce_filter(ghi, hi, s),
            gweight};
      };
  const CausalRun run{
      CausalKind::filter_transposed,
      s,
      f,
      type,
      causal_dilations(levels, true),
      {},
      w,
      g};
  const auto fused = run.gradient(g, out, {a.rbegin(), a.rend()});
  if (fused.defined()) {
    const int64_t first = (taps + 1) / 2 * 2, rest = 2 * first;
    const auto of_weights = at::cat(
        {columns(fused, rest + levels, 1),
         columns(fused, rest, levels).flip(1),
         columns(fused, rest + levels + 1, 1)},
        1);
    return finish(
        columns(fused, 0, taps), columns(fused, first, taps), of_weights);
  }
  std::vector<at::Tensor> states;
  if (levels > 1) {
    auto steps = causal_dilations(levels, true);
    steps.pop_back();
    // The same weights without the first step's; none for the input itself.
    const CausalRun transposed{
        CausalKind::filter_transposed,
        s,
        f,
        type,
        steps,
        {},
        at::cat({at::zeros_like(w.narrow(1, 0, 1)), w.narrow(1, 2, levels)}, 1),
        g};
    at::Tensor unused;
    transposed(g, unused, &states);
  }
  // One weight a channel of the inner axes, [1 or inner, J + 2].
  const auto wide = w.size(0) == 1 ? w : ops::expand_filter(w, s, sum);
  const auto filter_lo = ops::expand_filter(lo, s, sum);
  const auto filter_hi = ops::expand_filter(hi, s, sum);
  std::vector<at::Tensor> gw(levels + 2);
  at::Tensor glo, ghi;
  for (int64_t j = levels - 1; j >= 0; --j) {
    const bool top = j == levels - 1;
    const auto g_lo = top ? g.view({s.batch, s.length, s.inner}).to(sum) *
            wide.select(1, levels + 1)
                          : states[levels - 2 - j];
    const auto part = tap_sums(g_lo, g, a[j], type, taps, s, int64_t{1} << j);
    if (top) {
      gw[levels + 1] = (part[1] * filter_lo).sum(1);
    }
    if (j == 0) {
      gw[0] = part[1].select(1, 0);
    }
    gw[j + 1] = (part[1] * filter_hi).sum(1);
    const auto h = part[1] * wide.select(1, j + 1).unsqueeze(1);
    glo = glo.defined() ? glo + part[0] : part[0];
    ghi = ghi.defined() ? ghi + h : h;
  }
  if (want_input) {
    run(g, out);
  }
  return finish(glo, ghi, at::stack(gw, 1));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_filters", input, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes_causal(s)) {
    return ops::composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
  }
  auto [x, glo, ghi, gweight] =
      filter_gradients(grad, input, lo, hi, weight, s, false);
  return {glo, ghi, gweight};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter(
      "causal_wavelet_filter_backward", input, lo, hi, weight, dim);
  if (weight.size(1) == 2 || !takes_causal(s)) {
    auto [a, b, c] = ops::composite::causal_wavelet_filter_backward_filters(
        grad, input, lo, hi, weight, dim);
    return {
        ops::composite::causal_wavelet_filter_backward_input(
            grad, lo, hi, weight, dim),
        a,
        b,
        c};
  }
  return filter_gradients(grad, input, lo, hi, weight, s, true);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("causal_wavelet_filter", &causal_wavelet_filter);
  m.impl(
      "causal_wavelet_filter_backward_input",
      &causal_wavelet_filter_backward_input);
  m.impl(
      "causal_wavelet_filter_backward_filters",
      &causal_wavelet_filter_backward_filters);
  m.impl("causal_wavelet_filter_backward", &causal_wavelet_filter_backward);
}

} // namespace signalllm::cuda
