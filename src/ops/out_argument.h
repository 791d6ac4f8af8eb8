#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// Checks of the `.out` overloads.
namespace signalllm::ops {

/// No gradient flows through an `.out` overload: refuses tensors that want one.
void refuse_gradient(std::string_view op, at::TensorList tensors);

/// Checks one output: shape, dtype, device, contiguous memory.
void check_out(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& out,
    at::IntArrayRef sizes,
    const at::Tensor& like);

/// Refuses two tensors whose memory may overlap.
void check_apart(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& out,
    std::string_view other_name,
    const at::Tensor& other);

} // namespace signalllm::ops

#pragma GCC visibility pop
