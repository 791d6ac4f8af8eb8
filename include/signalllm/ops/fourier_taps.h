#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

namespace signalllm::ops {

/// Taps of a long convolution as sums of damped waves, straight from their
/// parameters:
///
/// `taps[t,c] = exp(-lambda[c] t/N) (a[0,c] + sum_{m=1..M} a[m,c] cos(pi m s[c]
/// t/N) + b[m,c] sin(pi m s[c] t/N))`, lambda = exp(log_decay).
///
/// The phase m s t is reduced as an integer, so that it is exact at any t.
/// Differentiable by `terms` and `log_decay`, to any order; autograd keeps the
/// parameters only.
///
/// @param terms  `[2M + 1, C]`: a_0, a_1..a_M, b_1..b_M
/// @param log_decay  `[C]`
/// @param frequency  `[C]`, s: whole numbers, in any dtype
/// @param length  L >= 1
/// @param period  N >= 1, the unit of time
/// @return `[L, C]` in the dtype of `terms`, Float for half precision
SIGNALLLM_API at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t length,
    int64_t period);

} // namespace signalllm::ops
