#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `layer_norm` and of its backward operator share.
namespace signalllm::ops {

/// Sizes may be symbolic.
void check_layer_norm(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype);

void check_branch(const at::Tensor& input, const at::Tensor& branch);

using NormGradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using SumAndNorm = std::tuple<at::Tensor, at::Tensor>;
/// Of input, branch, weight and bias.
using AddNormGradients =
    std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

namespace detail {

/// signalllm::layer_norm_backward: gradients of input, weight and bias, the
/// last in the weight's dtype. With r = 1 / sqrt(variance + epsilon), y = (x -
/// mean) r and h = g weight the first is `r (h - mean(h) - y mean(h y))`.
NormGradients layer_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& weight,
    double epsilon);

/// signalllm::add_layer_norm_backward: those of `layer_norm_backward`, of
/// `grad` at `sum`, and `grad_sum` for what was added, which are in the dtypes
/// of `sum` and of `grad`.
AddNormGradients add_layer_norm_backward(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor layer_norm(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype);
NormGradients layer_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& weight,
    double epsilon);
SumAndNorm add_layer_norm(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype);
AddNormGradients add_layer_norm_backward(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
