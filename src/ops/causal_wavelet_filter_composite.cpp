// causal_wavelet_filter by plain ATen, on any device: the reference of its
// kernels.
#include "ops/causal_bank.h"
#include "ops/causal_wavelet_filter.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

namespace signalllm::ops::composite {
namespace {

/// weight[:, j] as `[1 or inner]`.
at::Tensor weight_of(const at::Tensor& w, int64_t j) {
  return w.select(1, j);
}

/// A weight `[channels or 1, J + 2]` as `[1 or inner, J + 2]`: the layout of
/// a filter with J + 2 taps.
at::Tensor
expand_weight(const at::Tensor& w, const Signal& s, at::ScalarType type) {
  return w.size(0) == 1 ? w.to(type) : expand_filter(w, s, type);
}

} // namespace

at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter(
      "causal_wavelet_filter", input, lo, hi, weight, dim);
  const auto type = accumulate_type(input.scalar_type());
  const auto l = expand_filter(lo, s, type);
  const auto h = expand_filter(hi, s, type);
  const auto w = expand_weight(weight, s, type);
  const int64_t levels = weight.size(1) - 2;
  auto a = canonical(input, s).to(type);
  auto y = a * weight_of(w, 0);
  for (int64_t j = 0; j < levels; ++j) {
    const int64_t dilation = int64_t{1} << j;
    y = y + bank::causal_filter(a, h, dilation) * weight_of(w, j + 1);
    a = bank::causal_filter(a, l, dilation);
  }
  y = y + a * weight_of(w, levels + 1);
  return y.to(input.scalar_type()).reshape(s.sizes);
}

at::Tensor causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim) {
  const auto s = check_causal_wavelet_filter(
      "causal_wavelet_filter_backward_input", grad, lo, hi, weight, dim);
  const auto type = accumulate_type(grad.scalar_type());
  const auto l = expand_filter(lo, s, type);
  const auto h = expand_filter(hi, s, type);
  const auto w = expand_weight(weight, s, type);
  const int64_t levels = weight.size(1) - 2;
  const auto gy = canonical(grad, s).to(type);
  auto g = gy * weight_of(w, levels + 1);
  for (int64_t j = levels - 1; j >= 0; --j) {
    const int64_t dilation = int64_t{1} << j;
    g = bank::causal_filter_transpose(g, l, dilation) +
        bank::causal_filter_transpose(gy * weight_of(w, j + 1), h, dilation);
  }
  g = g + gy * weight_of(w, 0);
  return g.to(grad.scalar_type()).reshape(s.sizes);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
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
  const auto type = accumulate_type(input.scalar_type());
  const auto l = expand_filter(lo, s, type);
  const auto h = expand_filter(hi, s, type);
  const auto w = expand_weight(weight, s, type);
  const int64_t levels = weight.size(1) - 2;
  const int64_t taps = lo.size(-1);
  const auto gy = canonical(grad, s).to(type);
  const bool shared_weight = weight.size(0) == 1;
  std::vector<at::Tensor> gw;
  const auto read_out = [&](const at::Tensor& band) {
    const auto product = gy * band;
    gw.push_back(
        shared_weight ? product.sum().view({1})
                      : product.sum(at::IntArrayRef({0, 1})));
  };
  std::vector<at::Tensor> a{canonical(input, s).to(type)};
  read_out(a[0]);
  for (int64_t j = 0; j < levels; ++j) {
    read_out(bank::causal_filter(a[j], h, int64_t{1} << j));
    a.push_back(bank::causal_filter(a[j], l, int64_t{1} << j));
  }
  read_out(a[levels]);
  at::Tensor glo, ghi;
  auto g = gy * weight_of(w, levels + 1);
  for (int64_t j = levels - 1; j >= 0; --j) {
    const int64_t dilation = int64_t{1} << j;
    const auto gh = gy * weight_of(w, j + 1);
    const auto dlo =
        bank::causal_filter_gradient(g, a[j], taps, dilation, lo.dim() == 1);
    const auto dhi =
        bank::causal_filter_gradient(gh, a[j], taps, dilation, hi.dim() == 1);
    glo = glo.defined() ? glo + dlo : dlo;
    ghi = ghi.defined() ? ghi + dhi : dhi;
    if (j > 0) {
      g = bank::causal_filter_transpose(g, l, dilation) +
          bank::causal_filter_transpose(gh, h, dilation);
    }
  }
  auto gweight = at::stack(gw, 1);
  gweight = shared_weight ? gweight.to(weight.scalar_type())
                          : reduce_filter(gweight, weight, s);
  if (levels == 0) {
    return {at::zeros_like(lo), at::zeros_like(hi), gweight};
  }
  return {reduce_filter(glo, lo, s), reduce_filter(ghi, hi, s), gweight};
}

} // namespace signalllm::ops::composite
