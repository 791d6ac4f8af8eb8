// wavedec by plain ATen, on any device: the reference of its kernels.
#include "ops/filter_bank.h"
#include "ops/wavedec.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

namespace signalllm::ops::composite {

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto plan =
      plan_wavedec("wavedec", input, dec_lo, dec_hi, level, mode, dim);
  if (plan.levels() == 0) {
    return {input.clone()};
  }
  const auto type = accumulate_type(input.scalar_type());
  const auto lo = expand_filter(dec_lo, plan.signal, type);
  const auto hi = expand_filter(dec_hi, plan.signal, type);
  auto a = canonical(input, plan.signal).to(type);
  std::vector<at::Tensor> out(plan.levels() + 1);
  const auto finish = [&](const at::Tensor& c) {
    return c.to(input.scalar_type()).reshape(plan.signal.sizes_for(c.size(1)));
  };
  for (int64_t l = 0; l < plan.levels(); ++l) {
    auto [next, d] = bank::analysis(a, lo, hi, plan.mode);
    out[plan.levels() - l] = finish(d);
    a = next;
  }
  out[0] = finish(a);
  return out;
}

at::Tensor wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t length,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_coefficients(
      "wavedec_backward_input", grads, dec_lo, dec_hi, length, mode, dim);
  if (plan.levels() == 0) {
    return grads[0].clone();
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(grads[0].scalar_type());
  const auto lo = expand_filter(dec_lo, s, type);
  const auto hi = expand_filter(dec_hi, s, type);
  const auto view = [&](const at::Tensor& c) {
    return c.reshape({s.batch, c.size(s.dim), s.inner}).to(type);
  };
  auto g = view(grads[0]);
  for (int64_t l = plan.levels(); l > 0; --l) {
    g = bank::analysis_transpose(
        g,
        view(grads[plan.levels() - l + 1]),
        lo,
        hi,
        plan.lengths[l - 1],
        plan.mode);
  }
  return own(g, grads[0].scalar_type()).reshape(s.sizes);
}

std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_wavedec_backward_filters(
      "wavedec_backward_filters", grads, input, dec_lo, dec_hi, mode, dim);
  if (plan.levels() == 0) {
    return {at::zeros_like(dec_lo), at::zeros_like(dec_hi)};
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(input.scalar_type());
  const auto lo = expand_filter(dec_lo, s, type);
  const auto hi = expand_filter(dec_hi, s, type);
  const auto view = [&](const at::Tensor& c) {
    return c.reshape({s.batch, c.size(s.dim), s.inner}).to(type);
  };
  std::vector<at::Tensor> a{view(input)};
  for (int64_t l = 1; l < plan.levels(); ++l) {
    a.push_back(bank::analysis(a.back(), lo, hi, plan.mode).first);
  }
  at::Tensor glo, ghi;
  auto g = view(grads[0]);
  for (int64_t l = plan.levels(); l > 0; --l) {
    const auto gd = view(grads[plan.levels() - l + 1]);
    const auto [dlo, dhi] = bank::analysis_filter_gradient(
        g, gd, a[l - 1], plan.taps, plan.mode, dec_lo.dim() == 1);
    glo = glo.defined() ? glo + dlo : dlo;
    ghi = ghi.defined() ? ghi + dhi : dhi;
    if (l > 1) {
      g = bank::analysis_transpose(
          g, gd, lo, hi, plan.lengths[l - 1], plan.mode);
    }
  }
  return {reduce_filter(glo, dec_lo, s), reduce_filter(ghi, dec_hi, s)};
}

} // namespace signalllm::ops::composite
