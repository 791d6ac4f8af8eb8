#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>

#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `fourier_taps` and of its backward operator share.
///
/// With z_m = exp((-lambda + i pi m s) / N) and w_m = a_m - i b_m, tap t is
/// Re sum_m w_m z_m^t. Time is cut into blocks, t = B j + r: w_m z_m^(B j)
/// stands at a block's beginning, its anchor, and z_m^r is the same in every
/// block. Both are exact, and a tap costs 2 (M + 1) multiply-adds.
namespace signalllm::ops {

/// Checks every argument but the length.
void check_fourier_taps(
    std::string_view op,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period);

/// Steps from one anchor to the next: the power of two at or above the
/// length's square root.
int64_t fourier_block(int64_t length);

namespace detail {

at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt length,
    int64_t period);

/// signalllm::fourier_taps_backward: gradients of terms and log_decay from
/// that of the taps, `[L, C]`.
std::tuple<at::Tensor, at::Tensor> fourier_taps_backward(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t length,
    int64_t period);
std::tuple<at::Tensor, at::Tensor> fourier_taps_backward(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
