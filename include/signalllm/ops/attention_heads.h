#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <tuple>

namespace signalllm::ops {

/// Queries, keys and values of an attention from one projection: a row's 3 H d
/// channels become three times H heads of d. Queries and keys are normed and
/// turned where asked: `x / sqrt(mean(x^2) + epsilon)` over a head's channels,
/// then channels i and i + d/2 at position t by the angle `(offset + t)
/// base^(-2i/d)`.
///
/// @param input  `[B, T, 3 H d]`
/// @param heads  H >= 1
/// @param base  > 1, with d even; nothing is turned without one
/// @param offset  >= 0, the position of `input[:, 0]`
/// @param epsilon  >= 0; nothing is normed without one
/// @return three `[B, H, T, d]`, the heads beside the positions in memory
SIGNALLLM_API std::tuple<at::Tensor, at::Tensor, at::Tensor> attention_heads(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base = std::nullopt,
    int64_t offset = 0,
    std::optional<double> epsilon = std::nullopt);

} // namespace signalllm::ops
