#pragma once

#include <signalllm/export.h>
#include <signalllm/functional/lifting.h>
#include <signalllm/functional/packets.h>
#include <signalllm/functional/packing.h>
#include <signalllm/functional/streaming.h>
#include <signalllm/functional/threshold.h>
#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/fourier_taps.h>
#include <signalllm/ops/gated_fft_conv.h>
#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

/// What PyWavelets' users know by these names, on tensors and differentiable.
/// The operators themselves, with filters as tensors, are in `signalllm::ops`.
namespace signalllm::functional {

/// `floor(log2(length / (taps - 1)))`, 0 where the signal is shorter than the
/// filter: the deepest level with one coefficient free of boundary effects.
SIGNALLLM_API int64_t max_level(int64_t length, int64_t taps);
SIGNALLLM_API int64_t max_level(int64_t length, const Wavelet& wavelet);

/// Coefficients of one level: `ceil(length / 2)` for periodization,
/// `floor((length + taps - 1) / 2)` otherwise.
SIGNALLLM_API int64_t
dwt_coeff_len(int64_t length, int64_t taps, std::string_view mode);

/// Lengths of `[cA_n, cD_n, ..., cD_1]`; `level` -1 as in `wavedec`.
SIGNALLLM_API std::vector<int64_t> wavedec_lengths(
    int64_t length,
    int64_t taps,
    int64_t level,
    std::string_view mode);

/// One level of `wavedec`: `(cA, cD)`.
SIGNALLLM_API std::pair<at::Tensor, at::Tensor> dwt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// One level of `waverec`. `length` trims the result (2 Nc - taps + 2 or
/// 2 Nc, one more than the signal where that was odd).
SIGNALLLM_API at::Tensor idwt(
    const at::Tensor& approximation,
    const at::Tensor& detail,
    const Wavelet& wavelet,
    std::string_view mode = "reflect",
    int64_t dim = -2,
    std::optional<int64_t> length = std::nullopt);

/// `ops::wavedec` with a named wavelet, filters in float32 (float64 for
/// float64 input).
SIGNALLLM_API std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level = -1,
    std::string_view mode = "reflect",
    int64_t dim = -2);

/// `ops::waverec` with a named wavelet; `length` is the signal's, so that odd
/// lengths come back without trimming by hand.
SIGNALLLM_API at::Tensor waverec(
    at::TensorList coeffs,
    const Wavelet& wavelet,
    std::string_view mode = "reflect",
    int64_t dim = -2,
    std::optional<int64_t> length = std::nullopt);

/// `ops::swt` with a named wavelet, filters as in `wavedec`.
SIGNALLLM_API std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level = -1,
    int64_t dim = -2);

/// `ops::iswt` with a named wavelet.
SIGNALLLM_API at::Tensor
iswt(at::TensorList coeffs, const Wavelet& wavelet, int64_t dim = -2);

/// Maximal overlap transform (Percival and Walden, Wavelet Methods for Time
/// Series Analysis, 2000, chapter 5): undecimated, circular, any length, and
/// in time with the signal. With g_k = dec_lo[taps - 1 - k] / sqrt 2, h_k
/// likewise of dec_hi, N the length and V_0 the input,
///
///   V_j[t] = sum_k g_k V_{j-1}[(t - 2^{j-1} k) mod N], W_j with h.
///
/// `[V_J, W_J, ..., W_1]`, each shaped like the input; `level` -1 as in
/// `swt`. With an orthogonal wavelet the squares of all of them sum to those
/// of the input.
SIGNALLLM_API std::vector<at::Tensor> modwt(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level = -1,
    int64_t dim = -2);

/// Inverse of `modwt`: V_{j-1}[t] = sum_k (rec_lo[k] V_j[(t + 2^{j-1} k) mod N]
/// + rec_hi[k] W_j[(t + 2^{j-1} k) mod N]) / sqrt 2.
SIGNALLLM_API at::Tensor
imodwt(at::TensorList coeffs, const Wavelet& wavelet, int64_t dim = -2);

using ops::causal_filter;
using ops::causal_wavedec;
using ops::causal_wavelet_filter;
using ops::fft_conv;
using ops::gated_fft_conv;

/// Inverse of `causal_wavedec`: the sum of its coefficients.
SIGNALLLM_API at::Tensor causal_waverec(at::TensorList coeffs);

} // namespace signalllm::functional
