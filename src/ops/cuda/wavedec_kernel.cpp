#include "bank/transform.h"

#include "bank/correlate.h"

#include "ops/wavedec.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

Bank bank_of(const ops::WavedecPlan& plan) {
  return {
      static_cast<Border>(plan.mode),
      static_cast<int>(plan.taps),
      static_cast<int>(ops::analysis_offset(plan.mode, plan.taps))};
}

/// `[cA_n, cD_n, ..., cD_1]` to contiguous details of level 1, 2, ...
std::vector<at::Tensor> details_of(at::TensorList coeffs) {
  std::vector<at::Tensor> out;
  for (size_t i = coeffs.size(); i-- > 1;) {
    out.push_back(coeffs[i].contiguous());
  }
  return out;
}

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      ops::plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  if (plan.levels() == 0) {
    return {input.clone()};
  }
  const c10::cuda::CUDAGuard guard(input.device());
  if (!takes(plan.signal, plan.taps)) {
    return ops::composite::wavedec(input, dec_lo, dec_hi, level, mode, dim);
  }
  const auto levels = plan.levels();
  std::vector<at::Tensor> details, out(levels + 1);
  for (int64_t l = 1; l <= levels; ++l) {
    details.push_back(
        empty_like(input, plan.signal.sizes_for(plan.lengths[l])));
    out[levels - l + 1] = details.back();
  }
  out[0] = empty_like(input, plan.signal.sizes_for(plan.lengths[levels]));
  const FilterPair filters(
      dec_lo, dec_hi, ops::accumulate_type(input.scalar_type()), false);
  analyse(
      input.contiguous(),
      plan.signal,
      bank_of(plan),
      filters,
      plan.lengths,
      details,
      out[0]);
  return out;
}

at::Tensor wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim) {
  const auto n = length.guard_int(__FILE__, __LINE__);
  const auto plan = ops::plan_coefficients(
      "wavedec_backward_input", grads, dec_lo, dec_hi, n, mode, dim);
  if (plan.levels() == 0) {
    return grads[0].clone();
  }
  const c10::cuda::CUDAGuard guard(grads[0].device());
  if (!takes(plan.signal, plan.taps)) {
    return ops::composite::wavedec_backward_input(
        grads, dec_lo, dec_hi, n, mode, dim);
  }
  auto out = empty_like(grads[0], plan.signal.sizes);
  const FilterPair filters(
      dec_lo, dec_hi, ops::accumulate_type(out.scalar_type()), true);
  synthesise(
      grads[0].contiguous(),
      details_of(grads),
      plan.signal,
      bank_of(plan),
      filters,
      plan.lengths,
      out);
  return out;
}

std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = ops::plan_wavedec_backward_filters(
      "wavedec_backward_filters", grads, input, dec_lo, dec_hi, mode, dim);
  const c10::cuda::CUDAGuard guard(input.device());
  if (plan.levels() == 0 || !takes(plan.signal, plan.taps) ||
      input.numel() == 0) {
    return ops::composite::wavedec_backward_filters(
        grads, input, dec_lo, dec_hi, mode, dim);
  }
  const auto& s = plan.signal;
  const auto bank = bank_of(plan);
  const auto sum = ops::accumulate_type(input.scalar_type());
  const FilterPair forward(dec_lo, dec_hi, sum, false);
  const FilterPair backward(dec_lo, dec_hi, sum, true);
  const auto gd = details_of(grads);
  const auto scratch = [&](int64_t l) {
    return at::empty(
        {s.batch, plan.lengths[l], s.inner}, input.options().dtype(sum));
  };
  // The approximations, then their gradients from the coarsest level down.
  std::vector<at::Tensor> a{input.contiguous()};
  for (int64_t l = 1; l < plan.levels(); ++l) {
    auto next = scratch(l);
    const std::vector<at::Tensor> unused{
        at::empty(s.sizes_for(plan.lengths[l]), input.options())};
    analyse(
        a.back(),
        s,
        bank,
        forward,
        {plan.lengths[l - 1], plan.lengths[l]},
        unused,
        next);
    a.push_back(next);
  }
  at::Tensor sums;
  at::Tensor g = grads[0].contiguous();
  for (int64_t l = plan.levels(); l > 0; --l) {
    const Correlation c{
        bank.border, 2, bank.offset, 1, plan.lengths[l], plan.lengths[l - 1]};
    const auto part =
        correlate(g, gd[l - 1], a[l - 1], input.scalar_type(), plan.taps, s, c);
    sums = sums.defined() ? sums + part : part;
    if (l > 1) {
      auto next = scratch(l - 1);
      synthesise(
          g,
          {gd[l - 1]},
          s,
          bank,
          backward,
          {plan.lengths[l - 1], plan.lengths[l]},
          next);
      g = next;
    }
  }
  return {
      ops::reduce_filter(sums[0], dec_lo, s),
      ops::reduce_filter(sums[1], dec_hi, s)};
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("wavedec", &wavedec);
  m.impl("wavedec_backward_input", &wavedec_backward_input);
  m.impl("wavedec_backward_filters", &wavedec_backward_filters);
}

} // namespace signalllm::cuda
