#pragma once

#include <ATen/core/Tensor.h>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// Dilated circular filters in plain, differentiable ATen. Signals are
/// `[batch, length, inner]`, filters `[1 or inner, taps]`.
namespace signalllm::ops::bank {

/// y[n] = sum_j f[j] x[(n + dilation (offset - j)) mod N]. Its transpose is
/// the same with f reversed and the offset taps - 1 - offset.
at::Tensor circular_filter(
    const at::Tensor& x,
    const at::Tensor& f,
    int64_t dilation,
    int64_t offset);

/// `[1 or inner, taps]`, the gradient of sum(g * circular_filter(x, f)) with
/// respect to f: sum_{b,n} g[b,n,i] x[b, (n + dilation (offset - j)) mod N, i];
/// `shared` sums over the inner axis.
at::Tensor circular_filter_gradient(
    const at::Tensor& g,
    const at::Tensor& x,
    int64_t taps,
    int64_t dilation,
    int64_t offset,
    bool shared);

} // namespace signalllm::ops::bank

#pragma GCC visibility pop
