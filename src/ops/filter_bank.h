#pragma once

#include "ops/extension.h"

#include <ATen/core/Tensor.h>

#include <utility>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// One level of the two-channel bank in plain, differentiable ATen, for every
/// device: the reference for the kernels and the path of devices without one.
/// Signals are `[batch, length, inner]`, filters `[1 or inner, taps]`.
namespace signalllm::ops::bank {

using Pair = std::pair<at::Tensor, at::Tensor>;

/// (a, d): a[o] = sum_j lo[j] x_ext[2o + offset - j].
Pair analysis(
    const at::Tensor& x,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode);

/// The transpose of `analysis` for a signal of `length` values: a full
/// synthesis with the reversed filters, its overhang folded back.
at::Tensor analysis_transpose(
    const at::Tensor& a,
    const at::Tensor& d,
    const at::Tensor& lo,
    const at::Tensor& hi,
    int64_t length,
    Mode mode);

/// y[n] = sum_k lo[n + F - 2 - 2k] a[k] + hi[n + F - 2 - 2k] d[k].
at::Tensor synthesis(
    const at::Tensor& a,
    const at::Tensor& d,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode);

/// The transpose of `synthesis`: an analysis with the reversed filters.
Pair synthesis_transpose(
    const at::Tensor& y,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode);

/// Gradients `[1 or inner, taps]` of sum(ga * a) + sum(gd * d) with respect to
/// the analysis filters; `shared` sums over the inner axis.
Pair analysis_filter_gradient(
    const at::Tensor& ga,
    const at::Tensor& gd,
    const at::Tensor& x,
    int64_t taps,
    Mode mode,
    bool shared);

/// The same for sum(gy * synthesis(a, d)) and the synthesis filters.
Pair synthesis_filter_gradient(
    const at::Tensor& gy,
    const at::Tensor& a,
    const at::Tensor& d,
    int64_t taps,
    Mode mode,
    bool shared);

} // namespace signalllm::ops::bank

#pragma GCC visibility pop
