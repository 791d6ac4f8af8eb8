#include "bank/correlate.h"
#include "causal/causal_run.h"

#include "ops/swt.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim) {
  const auto plan = ops::plan_swt("swt", input, dec_lo, dec_hi, level, dim);
  if (plan.levels == 0 || !takes_causal(plan.signal)) {
    return ops::composite::swt(input, dec_lo, dec_hi, level, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  std::vector<at::Tensor> out(plan.levels + 1);
  for (auto& t : out) {
    t = at::empty(plan.signal.sizes, input.options());
  }
  const auto type = input.scalar_type();
  const FilterPair f(dec_lo, dec_hi, ops::accumulate_type(type), false);
  const CausalRun run{
      CausalKind::swt,
      plan.signal,
      f,
      type,
      causal_dilations(plan.levels, false),
      {out.rbegin(), out.rend() - 1}};
  run(input.contiguous(), out[0]);
  return out;
}

at::Tensor iswt(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim) {
  const auto plan =
      ops::plan_iswt("iswt", coeffs, "rec_lo", rec_lo, "rec_hi", rec_hi, dim);
  if (plan.levels == 0 || !takes_causal(plan.signal)) {
    return ops::composite::iswt(coeffs, rec_lo, rec_hi, dim);
  }
  const c10::cuda::CUDAGuard guard(coeffs[0].device());
  auto out = at::empty(plan.signal.sizes, coeffs[0].options());
  const auto type = out.scalar_type();
  const FilterPair f(rec_lo, rec_hi, ops::accumulate_type(type), false);
  const CausalRun run{
      CausalKind::iswt,
      plan.signal,
      f,
      type,
      causal_dilations(plan.levels, true),
      contiguous(coeffs.slice(1)),
      {},
      {},
      0.5};
  run(coeffs[0].contiguous(), out);
  return out;
}

std::tuple<at::Tensor, at::Tensor> swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim) {
  const auto plan = ops::plan_iswt(
      "swt_backward_filters", grads, "dec_lo", dec_lo, "dec_hi", dec_hi, dim);
  const auto& s = plan.signal;
  if (plan.levels == 0 || !takes_causal(s) ||
      input.sizes() != grads[0].sizes()) {
    return ops::composite::swt_backward_filters(
        grads, input, dec_lo, dec_hi, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto type = input.scalar_type();
  const auto sum = ops::accumulate_type(type);
  const FilterPair f(dec_lo, dec_hi, sum, false);
  // States a_0 .. a_{J-1}, and the gradients of a_J .. a_1.
  std::vector<at::Tensor> a{input.contiguous()}, g{grads[0].contiguous()};
  const auto d = contiguous(grads.slice(1));
  if (plan.levels > 1) {
    at::Tensor unused;
    const CausalRun down{
        CausalKind::swt, s, f, type, causal_dilations(plan.levels - 1, false)};
    down(a[0], unused, &a);
    const FilterPair r(dec_lo.flip(-1), dec_hi.flip(-1), sum, false);
    auto steps = causal_dilations(plan.levels, true);
    steps.pop_back();
    const CausalRun up{
        CausalKind::iswt, s, r, type, steps, {d.begin(), d.end() - 1}};
    up(g[0], unused, &g);
  }
  at::Tensor sums;
  for (int64_t l = plan.levels - 1; l >= 0; --l) {
    const int64_t step = plan.levels - 1 - l;
    const int64_t dilation = (int64_t{1} << l) % s.length;
    const int64_t ahead = dilation * (plan.taps / 2) % s.length;
    const auto part = correlate(
        g[step],
        d[step],
        a[l],
        type,
        plan.taps,
        s,
        {Border::periodic, 1, ahead, dilation, s.length, s.length});
    sums = sums.defined() ? sums + part : part;
  }
  return {
      ops::reduce_filter(sums[0], dec_lo, s),
      ops::reduce_filter(sums[1], dec_hi, s)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("swt", &swt);
  m.impl("iswt", &iswt);
  m.impl("swt_backward_filters", &swt_backward_filters);
}

} // namespace signalllm::cuda
