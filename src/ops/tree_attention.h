#pragma once

#include "ops/tree_ranges.h"

#include <ATen/core/Tensor.h>

#include <string_view>
#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `tree_attention` and of its backward operator share.
namespace signalllm::ops {

/// Checks every argument of `tree_attention`.
void check_tree_attention(
    std::string_view op,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);

/// Likewise of its backward operator.
void check_tree_attention_backward(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window);

/// Empty `[B, heads, T, d]` in the dtype of `x`, the heads beside the positions
/// in memory where `x` has them so, contiguous otherwise: what becomes of `x`.
at::Tensor empty_heads(const at::Tensor& x);

using TwoTensors = std::tuple<at::Tensor, at::Tensor>;
using ThreeTensors = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

namespace detail {

/// signalllm::tree_attention_backward: gradients of query, key and value.
ThreeTensors tree_attention_backward(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window);

} // namespace detail

/// Plain, differentiable ATen, any device: every level one product of matrices.
namespace composite {

TwoTensors tree_attention(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);
/// Computes output and logsumexp again, so that it can be differentiated.
ThreeTensors tree_attention_backward(
    const at::Tensor& grad,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const at::Tensor& output,
    const at::Tensor& logsumexp,
    int64_t window);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
