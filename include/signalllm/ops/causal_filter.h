#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

namespace signalllm::ops {

/// Depthwise causal filter: `y[n, t, c] = sum_k taps[c, k] x[n, t - k, c]`,
/// zero before the start.
///
/// @param input  `[N, L, C]`, L >= 1
/// @param taps  `[C, K]`, K >= 1, of the input's dtype or that of its sums
/// @param parts  P >= 1 dividing C: neighbouring channels that are used apart
/// @return `y` of the input's shape and dtype, summed in float32 (float64);
///     with P > 1 its parts one behind the other, `[P, N, L, C / P]`
SIGNALLLM_API at::Tensor causal_filter(
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts = 1);

} // namespace signalllm::ops
