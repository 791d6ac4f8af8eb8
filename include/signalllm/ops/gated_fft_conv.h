#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <optional>

namespace signalllm::ops {

/// Gated causal long convolution, one operator so that a kernel can fuse it:
/// `gate_out * fft_conv(gate_in * input, kernel, skip)`, with `fft_conv`'s
/// direct sums for short kernels on the CPU and its rounding elsewhere.
///
/// @param input, gate_in, gate_out  `[N, L, C]`
/// @param kernel  `[K, C]`
/// @param skip  `[C]` or absent
SIGNALLLM_API at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip = std::nullopt);

} // namespace signalllm::ops
