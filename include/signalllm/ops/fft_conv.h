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
/// Kernels of up to 16 taps are summed directly on the CPU and on Apple's GPUs
/// (`causal_filter` does so everywhere, for any number of taps): `y[t]` is then
/// a function of `x[0..t]` alone, exactly. Longer ones go through an FFT over
/// the whole signal (n, c), whose rounding is relative to the loudest value of
/// it, before or after t: y is off by at most about `eps log2(L) |kernel|
/// |input|` (Euclidean norms over k and over t; eps 6e-8 in float32, 1e-16 in
/// float64), so a future 10^7 times as loud drowns the past in float32, and a
/// NaN or infinity anywhere makes NaN of the whole signal.
///
/// An empty batch and no channels give an empty result and zero gradients.
///
/// @param input  `[N, L, C]`, dense, L >= 1
/// @param kernel  `[K, C]`, K >= 1
/// @param skip  `[C]` or absent
/// @return `[N, L, C]` in the input's dtype; causal up to the rounding above
SIGNALLLM_API at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip = std::nullopt,
    bool causal = true);

} // namespace signalllm::ops
