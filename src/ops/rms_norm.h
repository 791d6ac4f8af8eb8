#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `rms_norm` and of its backward operator share.
namespace signalllm::ops {

void check_rms_norm(
    std::string_view op,
    const at::Tensor& input,
    double epsilon);

namespace detail {

/// signalllm::rms_norm_backward: with `r = 1 / sqrt(mean(x^2) +
/// epsilon)` and `y = r x` it is `r (g - y mean(g y))`.
at::Tensor rms_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor rms_norm(const at::Tensor& input, double epsilon);
at::Tensor rms_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
