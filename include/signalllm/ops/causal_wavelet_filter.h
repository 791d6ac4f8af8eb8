#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace signalllm::ops {

/// Causal multiresolution filter: a one-sided a-trous bank with a read-out.
///
/// `lo_0 = x`, `hi_{j+1}[t] = sum_k hi[k] lo_j[t - 2^j k]`, `lo_{j+1}`
/// likewise with `lo`, and
/// `y = w_0 x + sum_{j=1..J} w_j hi_j + w_{J+1} lo_J`. (Shi, Wang and Fox,
/// "Sequence modeling with multiresolution convolutional memory", 2023.)
///
/// @param input  any rank >= 1, length N >= 1 along `dim`
/// @param lo, hi  `[taps]` or `[channels, taps]`; tap 0 is the present
/// @param weight  `[channels or 1, J + 2]`, 0 <= J <= 61; channels is the last
/// axis
/// @return `y` of the input's shape
SIGNALLLM_API at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim = -2);

} // namespace signalllm::ops
