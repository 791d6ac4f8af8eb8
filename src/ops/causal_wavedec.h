#pragma once

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <tuple>
#include <vector>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `causal_wavedec` and of its backward operators share.
namespace signalllm::ops {

/// Checks every argument of `causal_wavedec`.
Signal check_causal_wavedec(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim);

/// Checks gradients `[a_J, d_J, ..., d_1]`, all of one shape.
Signal check_causal_grads(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim);

/// The same, and that the input is like them.
Signal check_causal_wavedec_backward(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim);

namespace detail {

/// signalllm::causal_wavedec_backward_input.
at::Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim);

/// signalllm::causal_wavedec_backward_filter.
at::Tensor causal_wavedec_backward_filter(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim);

/// signalllm::causal_wavedec_backward: both, (input, lo).
std::tuple<at::Tensor, at::Tensor> causal_wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim);
at::Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim);
at::Tensor causal_wavedec_backward_filter(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
