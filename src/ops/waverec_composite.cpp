// waverec by plain ATen, on any device: the reference of its kernels.
#include "ops/filter_bank.h"
#include "ops/waverec.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

namespace signalllm::ops::composite {
namespace {

at::Tensor view(const at::Tensor& c, const Signal& s, at::ScalarType type) {
  return c.reshape({s.batch, c.size(s.dim), s.inner}).to(type);
}

} // namespace

at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec("waverec", coeffs, rec_lo, rec_hi, mode, dim);
  if (plan.levels() == 0) {
    return coeffs[0].clone();
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(coeffs[0].scalar_type());
  const auto lo = expand_filter(rec_lo, s, type);
  const auto hi = expand_filter(rec_hi, s, type);
  auto a = view(coeffs[0], s, type);
  for (int64_t l = plan.levels(); l > 0; --l) {
    a = bank::synthesis(
        a.narrow(1, 0, plan.lengths[l]),
        view(coeffs[plan.levels() - l + 1], s, type),
        lo,
        hi,
        plan.mode);
  }
  return own(a, coeffs[0].scalar_type()).reshape(s.sizes);
}

std::vector<at::Tensor> waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    at::IntArrayRef lengths,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec_backward(
      "waverec_backward_input", grad, lengths, rec_lo, rec_hi, mode, dim);
  if (plan.levels() == 0) {
    return {grad.clone()};
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(grad.scalar_type());
  const auto lo = expand_filter(rec_lo, s, type);
  const auto hi = expand_filter(rec_hi, s, type);
  std::vector<at::Tensor> out(plan.levels() + 1);
  const auto finish = [&](const at::Tensor& c) {
    return own(c, grad.scalar_type()).reshape(s.sizes_for(c.size(1)));
  };
  auto g = view(grad, s, type);
  for (int64_t l = 1; l <= plan.levels(); ++l) {
    auto [a, d] = bank::synthesis_transpose(g, lo, hi, plan.mode);
    out[plan.levels() - l + 1] = finish(d);
    // The value that the synthesis dropped has no influence.
    const int64_t wanted =
        l < plan.levels() ? plan.synthesised(l + 1) : plan.approximation;
    g = wanted > a.size(1)
        ? at::constant_pad_nd(a, {0, 0, 0, wanted - a.size(1)})
        : a;
  }
  out[0] = finish(g);
  return out;
}

std::tuple<at::Tensor, at::Tensor> waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim) {
  const auto plan = plan_waverec_backward_filters(
      "waverec_backward_filters", grad, coeffs, rec_lo, rec_hi, mode, dim);
  const int64_t levels = plan.levels();
  if (levels == 0) {
    return {at::zeros_like(rec_lo), at::zeros_like(rec_hi)};
  }
  const auto& s = plan.signal;
  const auto type = accumulate_type(grad.scalar_type());
  const auto lo = expand_filter(rec_lo, s, type);
  const auto hi = expand_filter(rec_hi, s, type);
  std::vector<at::Tensor> a(levels + 1), d(levels + 1);
  a[levels] = view(coeffs[0], s, type).narrow(1, 0, plan.lengths[levels]);
  for (int64_t l = levels; l > 0; --l) {
    d[l] = view(coeffs[levels - l + 1], s, type);
    if (l > 1) {
      a[l - 1] = bank::synthesis(a[l], d[l], lo, hi, plan.mode)
                     .narrow(1, 0, plan.lengths[l - 1]);
    }
  }
  at::Tensor glo, ghi;
  auto g = view(grad, s, type);
  for (int64_t l = 1; l <= levels; ++l) {
    const auto [dlo, dhi] = bank::synthesis_filter_gradient(
        g, a[l], d[l], plan.taps, plan.mode, rec_lo.dim() == 1);
    glo = glo.defined() ? glo + dlo : dlo;
    ghi = ghi.defined() ? ghi + dhi : dhi;
    if (l < levels) {
      g = bank::synthesis_transpose(g, lo, hi, plan.mode).first;
      const int64_t missing = plan.synthesised(l + 1) - g.size(1);
      g = missing > 0 ? at::constant_pad_nd(g, {0, 0, 0, missing}) : g;
    }
  }
  return {reduce_filter(glo, rec_lo, s), reduce_filter(ghi, rec_hi, s)};
}

} // namespace signalllm::ops::composite
