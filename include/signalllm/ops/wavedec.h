#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace signalllm::ops {

/// Multilevel discrete wavelet transform along `dim`, PyWavelets' `wavedec`.
///
/// One level of all modes but periodization:
/// `a[o] = sum_j dec_lo[j] x_ext[2o + 1 - j]`, `o < floor((N + F - 1) / 2)`,
/// and d with dec_hi; periodization: `x_per[2o + F/2 - j]`, `o < ceil(N / 2)`.
///
/// @param input  any rank >= 1, floating point, length N >= 1 along `dim`
/// @param dec_lo, dec_hi  `[taps]`, or `[channels, taps]` where channels is
///   the last axis of `input` and not `dim`; an even number of taps
/// @param level  number of levels up to 61 (2^level is counted in 64 bits;
///   PyWavelets has no bound); -1 the largest useful one, 0 a copy
/// @param mode  one of `signalllm::modes()`
/// @return `[cA_n, cD_n, ..., cD_1]`, each like `input` but for its length
SIGNALLLM_API std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// The same into memory that is already there: `out` holds contiguous tensors
/// of exactly the shapes that `wavedec` returns, which overlap neither each
/// other nor the arguments. Nothing is resized and no gradient recorded; on
/// the CPU nothing is allocated for a contiguous input of 16 or more values
/// after `dim`. For large signals this is several times faster than fresh
/// outputs, whose pages the system must first supply.
SIGNALLLM_API void wavedec_out(
    at::TensorList out,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode = "reflect",
    int64_t dim = -2);

} // namespace signalllm::ops
