#include "ops/circular_bank.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

namespace signalllm::ops::bank {
namespace {

/// x[(n + shift) mod N], for shifts of any size.
at::Tensor
rotated(const at::Tensor& x, int64_t dilation, int64_t steps) {
  const int64_t n = x.size(1);
  const int64_t shift = (dilation % n) * steps % n;
  return shift == 0 ? x : x.roll(-shift, 1);
}

} // namespace

at::Tensor circular_filter(
    const at::Tensor& x,
    const at::Tensor& f,
    int64_t dilation,
    int64_t offset) {
  at::Tensor y;
  for (int64_t j = 0; j < f.size(1); ++j) {
    const auto term = rotated(x, dilation, offset - j) * f.select(1, j);
    y = y.defined() ? y + term : term;
  }
  return y;
}

at::Tensor circular_filter_gradient(
    const at::Tensor& g,
    const at::Tensor& x,
    int64_t taps,
    int64_t dilation,
    int64_t offset,
    bool shared) {
  std::vector<at::Tensor> out;
  for (int64_t j = 0; j < taps; ++j) {
    const auto product = g * rotated(x, dilation, offset - j);
    out.push_back(
        shared ? product.sum().view({1})
               : product.sum(at::IntArrayRef({0, 1})));
  }
  return at::stack(out, 1);
}

} // namespace signalllm::ops::bank
