#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

/// Shrinking of coefficients, and the denoising that is made of it.
namespace signalllm::functional {

/// Values of at most `value` in magnitude become 0, the others, by `kind`,
///
/// - `soft`: `sign(x) (|x| - value)`,
/// - `hard`: `x`, kept also where `|x| = value`,
/// - `garrote`: `x - value^2 / x`.
///
/// PyWavelets' `threshold` with `substitute` 0. `value` broadcasts against
/// `input` and may be learned; gradients flow to both.
SIGNALLLM_API at::Tensor threshold(
    const at::Tensor& input,
    const at::Tensor& value,
    std::string_view kind = "soft");
/// The same for one number, at least 0.
SIGNALLLM_API at::Tensor threshold(
    const at::Tensor& input,
    double value,
    std::string_view kind = "soft");

/// Standard deviation of white noise in a detail of level 1: the median of its
/// magnitudes over `dim` (kept, with size 1), divided by 0.6745, the normal
/// distribution's. An even number of values takes the mean of the middle two.
/// (Donoho and Johnstone, 1994.)
SIGNALLLM_API at::Tensor noise_level(
    const at::Tensor& detail,
    int64_t dim = -2);

/// `wavedec`, `threshold` of all details, `waverec`: the input's shape and
/// dtype. Without `value` it is `noise_level(cD_1) sqrt(2 log(length))`, for
/// every signal of the batch and every channel its own.
SIGNALLLM_API at::Tensor denoise(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level = -1,
    std::string_view kind = "soft",
    std::optional<double> value = std::nullopt,
    std::string_view mode = "reflect",
    int64_t dim = -2);

} // namespace signalllm::functional
