#pragma once

#include <ATen/core/Tensor.h>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// One-sided dilated filters in plain, differentiable ATen. Signals are
/// `[batch, length, inner]`, filters `[1 or inner, taps]`, zero history.
namespace signalllm::ops::bank {

/// y[t] = sum_k f[k] x[t - dilation k].
at::Tensor
causal_filter(const at::Tensor& x, const at::Tensor& f, int64_t dilation);

/// Its transpose: y[t] = sum_k f[k] x[t + dilation k].
at::Tensor causal_filter_transpose(
    const at::Tensor& x,
    const at::Tensor& f,
    int64_t dilation);

/// `[1 or inner, taps]`: sum_{b,t} g[b,t,i] x[b, t - dilation k, i].
at::Tensor causal_filter_gradient(
    const at::Tensor& g,
    const at::Tensor& x,
    int64_t taps,
    int64_t dilation,
    bool shared);

} // namespace signalllm::ops::bank

#pragma GCC visibility pop
