#include "causal/causal_run.h"

#include "ops/causal_wavelet_filter.h"

#include <ATen/ops/empty.h>
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
  const int64_t levels = weight.size(1) - 2;
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
  const CausalRun run{
      CausalKind::filter_transposed,
      s,
      f,
      type,
      causal_dilations(levels, true),
      {},
      w,
      g};
  const auto sums = run.gradients(g, out, {a.rbegin(), a.rend()});
  return {
      out,
      ops::reduce_filter(sums.lo, lo, s),
      ops::reduce_filter(sums.hi, hi, s),
      weight.size(0) == 1 ? sums.weight.sum(0, true).to(weight.scalar_type())
                          : ops::reduce_filter(sums.weight, weight, s)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = ops::check_causal_wavelet_filter_backward(
      "causal_wavelet_filter_backward_filters",
      grad,
      input,
      lo,
      hi,
      weight,
      dim);
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
  const auto s = ops::check_causal_wavelet_filter_backward(
      "causal_wavelet_filter_backward", grad, input, lo, hi, weight, dim);
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
