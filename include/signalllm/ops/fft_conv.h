#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <optional>

namespace signalllm::ops {

/// Long convolution along the sequence by FFT, O(L log L).
///
/// causal: `y[n,t,c] = sum_{k <= t} kernel[k,c] input[n,t-k,c] (+ skip[c]
/// input[n,t,c])`, a linear convolution whose taps beyond L are not used;
/// otherwise circular over L with `K <= L`, the kernel padded with zeros.
///
/// @param input  `[N, L, C]`, L >= 1
/// @param kernel  `[K, C]`, K >= 1
/// @param skip  `[C]` or absent
/// @return `[N, L, C]` in the input's dtype; causal up to the FFT's rounding
SIGNALLLM_API at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip = std::nullopt,
    bool causal = true);

} // namespace signalllm::ops
