#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace signalllm::ops {

/// Multilevel inverse discrete wavelet transform, PyWavelets' `waverec`.
///
/// One level of all modes but periodization, `n < 2 Nc - F + 2`:
/// `y[n] = sum_k rec_lo[n + F - 2 - 2k] a[k] + rec_hi[n + F - 2 - 2k] d[k]`;
/// periodization, `n < 2 Nc`: `k` runs cyclically with `t = n + F/2 - 1 - 2k`.
/// An approximation one longer than its detail loses its last value.
///
/// @param coeffs  `[cA_n, cD_n, ..., cD_1]` as `wavedec` returns them, of at
///   most 61 levels
/// @param rec_lo, rec_hi  `[taps]` or `[channels, taps]`, taps even
/// @return the signal, of even length 2 Nc - F + 2 (2 Nc): one longer than the
///   signal that was analysed where that length was odd
SIGNALLLM_API at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// The same into a contiguous tensor of exactly the right shape, which
/// overlaps no argument; see `wavedec_out`.
SIGNALLLM_API at::Tensor& waverec_out(
    at::Tensor& out,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode = "reflect",
    int64_t dim = -2);

} // namespace signalllm::ops
