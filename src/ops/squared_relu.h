#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `squared_relu` and of its backward operator share.
namespace signalllm::ops {

void check_squared_relu(std::string_view op, const at::Tensor& input);

namespace detail {

/// signalllm::squared_relu_backward: `2 max(x, 0) g`.
at::Tensor squared_relu_backward(
    const at::Tensor& grad,
    const at::Tensor& input);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor squared_relu(const at::Tensor& input);
at::Tensor squared_relu_backward(
    const at::Tensor& grad,
    const at::Tensor& input);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
