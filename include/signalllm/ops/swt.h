#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace signalllm::ops {

/// Stationary (undecimated) wavelet transform along `dim`, PyWavelets' `swt`
/// with `trim_approx=True`, for any length N >= 1.
///
/// Level l, D = 2^(l-1): `a_l[n] = sum_j dec_lo[j] a_{l-1}[(n + D (F/2 - j))
/// mod N]`, and d_l with dec_hi.
///
/// @param input  any rank >= 1, floating point
/// @param dec_lo, dec_hi  `[taps]`, or `[channels, taps]` where channels is
///   the last axis of `input` and not `dim`; an even number of taps
/// @param level  0 to 61 levels; -1 the largest useful one of `wavedec`
/// @return `[cA_n, cD_n, ..., cD_1]`, each of the input's shape
SIGNALLLM_API std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim = -2);

} // namespace signalllm::ops
