#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `attention_heads` and of its backward operator share.
namespace signalllm::ops {

/// Sizes may be symbolic.
void check_attention_heads(
    std::string_view op,
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon);

/// Of the backward operator: gradients `[B, H, T, d]` of one dtype, and the
/// input, which a norm needs.
void check_attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon);

/// t base^(-2i/dim) for `length` positions from `offset`, `[length, dim/2]`.
/// In float64 where the device has it: float32 loses far positions.
at::Tensor rotary_angles(
    int64_t offset,
    int64_t length,
    int64_t dim,
    double base,
    const at::TensorOptions& like);

using ThreeHeads = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

namespace detail {

/// signalllm::attention_heads_backward: the gradient of the input; `input` is
/// needed with an epsilon.
at::Tensor attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

ThreeHeads attention_heads(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon);
at::Tensor attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
