#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

namespace signalllm::ops {

/// `y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) weight + bias`,
/// means over the last axis, in float32 (float64) and rounded once.
///
/// @param input  `[..., C]`, C >= 1, floating point
/// @param weight  `[C]`, floating point; `bias` alike
/// @param epsilon  not negative
/// @param dtype  of the result, floating point; the input's without one
SIGNALLLM_API at::Tensor layer_norm(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype = std::nullopt);

/// `input + branch`, in the input's dtype, and its `layer_norm`.
///
/// @param branch  of the input's shape, floating point
SIGNALLLM_API std::tuple<at::Tensor, at::Tensor> add_layer_norm(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype = std::nullopt);

} // namespace signalllm::ops
