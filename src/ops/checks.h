#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string_view>

/// Checks of tensors and levels that every operator makes.
namespace signalllm::ops {

/// The most levels of any transform: 2^level and twice that are still whole
/// numbers of 64 bits.
inline constexpr int64_t kMaxLevels = 61;

/// Throws for a sparse tensor and the like, which no operator takes.
void check_dense(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& tensor);

/// Checks that `level` is `least` (-1 where that stands for the largest useful
/// one) to `kMaxLevels`.
void check_level_from(std::string_view op, int64_t level, int64_t least);

/// Checks the number of coefficients or of their lengths, `[cA, cD_n, ..]`.
void check_levels_of(
    std::string_view op,
    std::string_view argument,
    size_t count);

/// Checks that the tensors of a list are dense, of one dtype and not too many:
/// before the filters are compared with the first of them.
void check_alike(
    std::string_view op,
    std::string_view argument,
    at::TensorList tensors);

/// Checks that a tensor has these sizes, and the dtype and device of `like`,
/// an argument of the name given.
void check_like(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& tensor,
    at::IntArrayRef sizes,
    std::string_view like_name,
    const at::Tensor& like);

/// Checks that each of a list is like the first.
void check_all_like_first(
    std::string_view op,
    std::string_view argument,
    at::TensorList tensors);

} // namespace signalllm::ops
