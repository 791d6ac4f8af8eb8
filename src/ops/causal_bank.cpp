#include "ops/causal_bank.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

namespace signalllm::ops::bank {
namespace {

/// Taps that reach a signal of `length` values at all.
int64_t useful_taps(int64_t length, int64_t taps, int64_t dilation) {
  return std::min(taps, (length - 1) / dilation + 1);
}

} // namespace

at::Tensor
causal_filter(const at::Tensor& x, const at::Tensor& f, int64_t dilation) {
  const int64_t length = x.size(1);
  const int64_t taps = useful_taps(length, f.size(1), dilation);
  const int64_t reach = dilation * (taps - 1);
  const auto padded = reach > 0 ? at::constant_pad_nd(x, {0, 0, reach, 0}) : x;
  at::Tensor y;
  for (int64_t k = 0; k < taps; ++k) {
    const auto term =
        padded.narrow(1, reach - dilation * k, length) * f.select(1, k);
    y = y.defined() ? y + term : term;
  }
  return y;
}

at::Tensor causal_filter_transpose(
    const at::Tensor& x,
    const at::Tensor& f,
    int64_t dilation) {
  const int64_t length = x.size(1);
  const int64_t taps = useful_taps(length, f.size(1), dilation);
  const int64_t reach = dilation * (taps - 1);
  const auto padded = reach > 0 ? at::constant_pad_nd(x, {0, 0, 0, reach}) : x;
  at::Tensor y;
  for (int64_t k = 0; k < taps; ++k) {
    const auto term = padded.narrow(1, dilation * k, length) * f.select(1, k);
    y = y.defined() ? y + term : term;
  }
  return y;
}

at::Tensor causal_filter_gradient(
    const at::Tensor& g,
    const at::Tensor& x,
    int64_t taps,
    int64_t dilation,
    bool shared) {
  const int64_t length = x.size(1);
  const int64_t useful = useful_taps(length, taps, dilation);
  std::vector<at::Tensor> out;
  for (int64_t k = 0; k < useful; ++k) {
    const int64_t shift = dilation * k;
    const auto product =
        g.narrow(1, shift, length - shift) * x.narrow(1, 0, length - shift);
    out.push_back(
        shared ? product.sum().view({1})
               : product.sum(at::IntArrayRef({0, 1})));
  }
  auto gradient = at::stack(out, 1);
  return useful < taps ? at::constant_pad_nd(gradient, {0, taps - useful})
                       : gradient;
}

} // namespace signalllm::ops::bank
