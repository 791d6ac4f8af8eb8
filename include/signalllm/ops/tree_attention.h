#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace signalllm::ops {

/// Causal attention over a tree of the past, the operator behind
/// `signalllm::tree_attention` with nothing opened: see there for what a query
/// sees. Twice differentiable.
///
/// @param query, key, value  `[B, heads, T, d]`, T >= 1; a kernel reads them
///   without a copy where d is contiguous
/// @param window  W, even and at least 2
/// @return the output, with the heads beside the positions in memory where the
///   query has them so, and `[B, heads, T]` the logarithm of each softmax's
///   denominator in the dtype of accumulation (not differentiable)
SIGNALLLM_API std::tuple<at::Tensor, at::Tensor> tree_attention(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);

} // namespace signalllm::ops
