#pragma once

#include "ops/gated_fft_conv.h"

/// Causal convolutions of 8,192 < L <= 131,072 on the current stream. Channels
/// go through in groups, so that what lies between the passes stays small: at
/// most about 32 MB, or 16 channels of the whole batch.
namespace signalllm::cuda {

/// Whether they take this input.
bool takes_long_convolution(const at::Tensor& input, bool causal);

/// gate_out * conv(gate_in * input), either gate perhaps undefined.
at::Tensor long_convolution(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);

/// Its gradients; those of gates that are undefined are undefined.
ops::FiveTensors long_convolution_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);

} // namespace signalllm::cuda
