#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `fft_conv`, `gated_fft_conv` and of their backward
/// operators share.
namespace signalllm::ops {

/// Checks every argument of `fft_conv`.
void check_fft_conv(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal);

/// Smallest even 2^a 3^b 5^c 7^d >= n: what FFT libraries like, and never odd,
/// which MPS has got wrong (pytorch#126649).
int64_t fft_length(int64_t n);

namespace detail {

/// signalllm::fft_conv_backward: gradients of input, kernel and skip (zeros
/// `[C]` where there is no skip).
std::tuple<at::Tensor, at::Tensor, at::Tensor> fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal);
std::tuple<at::Tensor, at::Tensor, at::Tensor> fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
