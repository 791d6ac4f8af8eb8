#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `causal_filter` and of its backward operator share.
namespace signalllm::ops {

void check_causal_filter(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts);

namespace detail {

/// signalllm::causal_filter_backward: (input, taps).
std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor
causal_filter(const at::Tensor& input, const at::Tensor& taps, int64_t parts);
std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
