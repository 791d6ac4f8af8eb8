#pragma once

#include "ops/fft_conv.h"

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `gated_fft_conv` and of its backward operator share.
namespace signalllm::ops {

/// Checks every argument of `gated_fft_conv`.
void check_gated_fft_conv(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);

using FiveTensors =
    std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

namespace detail {

/// signalllm::gated_fft_conv_backward: gradients of input, gate_in, gate_out,
/// kernel and skip (zeros `[C]` where there is no skip).
FiveTensors gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor gated_fft_conv(
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);
FiveTensors gated_fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& gate_in,
    const at::Tensor& gate_out,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
