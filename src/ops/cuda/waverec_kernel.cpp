#include "bank/transform.h"

#include "bank/correlate.h"

#include "ops/waverec.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

/// Synthesis is the transpose of an analysis that sees zeros outside, or, for
/// a periodization, the periodic signal without a repeated last value.
Bank bank_of(const ops::WaverecPlan& plan) {
  return {
      plan.mode == ops::Mode::periodization ? Border::periodization_zero
                                            : Border::zero,
      static_cast<int>(plan.taps),
      static_cast<int>(ops::analysis_offset(plan.mode, plan.taps))};
}

std::vector<at::Tensor> details_of(at::TensorList coeffs) {
  std::vector<at::Tensor> out;
  for (size_t i = coeffs.size(); i-- > 1;) {
    out.push_back(coeffs[i].contiguous());
  }
  return out;
}

at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      ops::plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  if (plan.levels() == 0) {
    return coeffs[0].clone();
  }
  const c10::cuda::CUDAGuard guard(coeffs[0].device());
  if (!takes(plan.signal, plan.taps)) {
    return ops::composite::waverec(coeffs, rec_lo, rec_hi, mode, dim);
  }
  auto out = empty_like(coeffs[0], plan.signal.sizes);
  const FilterPair filters(
      rec_lo, rec_hi, ops::accumulate_type(out.scalar_type()), false);
  synthesise(
      coeffs[0].contiguous(),
      details_of(coeffs),
      plan.signal,
      bank_of(plan),
      filters,
      plan.lengths,
      out);
  return out;
}

std::vector<at::Tensor> waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef sym_lengths,
    std::string_view mode,
    int64_t dim) {
  const auto lengths = C10_AS_INTARRAYREF_SLOW(sym_lengths);
  const auto plan = ops::plan_waverec_backward(
      "waverec_backward_input", grad, lengths, rec_lo, rec_hi, mode, dim);
  if (plan.levels() == 0) {
    return {grad.clone()};
  }
  const c10::cuda::CUDAGuard guard(grad.device());
  if (!takes(plan.signal, plan.taps)) {
    return ops::composite::waverec_backward_input(
        grad, rec_lo, rec_hi, lengths, mode, dim);
  }
  const auto levels = plan.levels();
  std::vector<at::Tensor> details, out(levels + 1);
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(empty_like(grad, plan.signal.sizes_for(plan.lengths[l])));
    out[levels - l + 1] = details.back();
  }
  out[0] = empty_like(grad, plan.signal.sizes_for(plan.approximation));
  const FilterPair filters(
      rec_lo, rec_hi, ops::accumulate_type(grad.scalar_type()), true);
  analyse(
      grad.contiguous(),
      plan.signal,
      bank_of(plan),
      filters,
      plan.lengths,
      details,
      out[0]);
  return out;
}

std::tuple<at::Tensor, at::Tensor> waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = ops::plan_waverec_backward_filters(
      "waverec_backward_filters", grad, coeffs, rec_lo, rec_hi, mode, dim);
  const c10::cuda::CUDAGuard guard(grad.device());
  if (plan.levels() == 0 || !takes(plan.signal, plan.taps) ||
      grad.numel() == 0) {
    return ops::composite::waverec_backward_filters(
        grad, coeffs, rec_lo, rec_hi, mode, dim);
  }
  const auto& s = plan.signal;
  const auto bank = bank_of(plan);
  const auto sum = ops::accumulate_type(grad.scalar_type());
  const FilterPair forward(rec_lo, rec_hi, sum, false);
  const FilterPair backward(rec_lo, rec_hi, sum, true);
  const int64_t levels = plan.levels();
  const auto d = details_of(coeffs);
  const auto scratch = [&](int64_t l) {
    return at::empty(
        {s.batch, plan.lengths[l], s.inner}, grad.options().dtype(sum));
  };
  // a[l] has lengths[l] rows, or one more at the top.
  std::vector<at::Tensor> a(levels + 1);
  a[levels] = coeffs[0].contiguous();
  for (int64_t l = levels; l > 1; --l) {
    a[l - 1] = scratch(l - 1);
    synthesise(
        a[l],
        {d[l - 1]},
        s,
        bank,
        forward,
        {plan.lengths[l - 1], plan.lengths[l]},
        a[l - 1]);
  }
  at::Tensor sums;
  at::Tensor g = grad.contiguous();
  for (int64_t l = 1; l <= levels; ++l) {
    const Correlation c{
        bank.border, 2, bank.offset, 1, plan.lengths[l], plan.lengths[l - 1]};
    const auto part =
        correlate(a[l], d[l - 1], g, grad.scalar_type(), plan.taps, s, c);
    sums = sums.defined() ? sums + part : part;
    if (l < levels) {
      auto next = scratch(l);
      const std::vector<at::Tensor> unused{
          at::empty(s.sizes_for(plan.lengths[l]), grad.options())};
      analyse(
          g,
          s,
          bank,
          backward,
          {plan.lengths[l - 1], plan.lengths[l]},
          unused,
          next);
      g = next;
    }
  }
  sums = sums.flip(2); // the correlation counts taps from the other end
  return {
      ops::reduce_filter(sums[0], rec_lo, s),
      ops::reduce_filter(sums[1], rec_hi, s)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("waverec", &waverec);
  m.impl("waverec_backward_input", &waverec_backward_input);
  m.impl("waverec_backward_filters", &waverec_backward_filters);
}

} // namespace signalllm::cuda
