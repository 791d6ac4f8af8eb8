#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace signalllm {

/// Which keys `tree_attention` lets a query see.
struct SIGNALLLM_API TreeAttentionOptions {
  /// W, even: positions of a chunk and nodes of a level in sight.
  int64_t window = 64;
  /// k, at most W: nodes that every query opens at each level.
  int64_t opened = 0;
};

/// Causal attention over a multiresolution tree of the past: fine keys near,
/// coarse keys far, one softmax.
///
/// Node m of level j stands for the positions `[m 2^j, (m + 1) 2^j)` by the
/// Haar approximation of its keys and values: their mean, computed level by
/// level. The query at t, in chunk `c = floor(t / W)`, sees
/// - the positions of chunk c up to t and those of chunk c - 1,
/// - of every level j >= 1 the nodes that cover `[S_j, S_{j-1})`, where
///   `S_j = max(0, floor(t / (W 2^j)) - 1) W 2^j`: none, W / 2 or W nodes, all
///   of them complete before t.
///
/// So every position up to t is seen once. The logit of a node is
/// `q . k / sqrt(d) + j ln 2`, the number of its positions, so that the result
/// is dense causal attention exactly where keys and values are constant inside
/// the nodes, and up to 2 W positions for any. About `W log2(T / W) + 2 W` keys
/// a query: O(T W log(T / W)) time, forward and backward. Scores are computed
/// again in the backward pass; memory is O(T d). The operator is
/// `ops::tree_attention`, with kernels of its own on the CPU and on CUDA.
///
/// With `opened` k, the coarse scores choose: from the coarsest level down, the
/// k best of the nodes in sight and of the children of what was opened above
/// them are replaced by their two children, in the end by the keys of single
/// positions. It is still a partition of the past and one softmax; it costs
/// 2 k more keys a level, and who generates keeps all fine keys: O(T) state.
/// Every query then sees other keys, which are gathered in plain ATen, some
/// chunks at a time; not twice differentiable.
///
/// The tree is that of H-Transformer-1D (Zhu and Soricut, 2021) with a whole
/// window of fine keys behind every query; the opening is its own.
///
/// Shapes: `query`, `key` and `value` `[B, heads, T, d]`, result the same, any
/// T. Sums of half types are float32.
SIGNALLLM_API at::Tensor tree_attention(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const TreeAttentionOptions& options = {});

/// What `tree_attention_incremental` remembers, in the dtype of accumulation.
struct SIGNALLLM_API TreeAttentionState {
  /// Positions seen.
  int64_t length = 0;
  /// Keys and values `[2, B, heads, 2 W (J + 1), d]` of the last 2 W nodes of
  /// the levels J to 0, J = floor(log2(length / W)), at least 0: node n of
  /// level j is in slot 2 W (J - j) + n mod 2 W. Written in place; a new one
  /// only where a level comes in sight, when `length` has doubled.
  at::Tensor ring;
  /// Where nodes are opened, keys and values `[2, B, heads, capacity, d]` of
  /// all nodes of each level that whole chunks have completed.
  std::vector<at::Tensor> all;

  /// Bytes of all tensors.
  int64_t bytes() const;
};

/// `tree_attention` of the next T positions; an empty state stands at the
/// start. The state holds 2 W keys and values a level, O(W log T), or all of
/// them where nodes are opened. Not differentiable.
SIGNALLLM_API at::Tensor tree_attention_incremental(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    TreeAttentionState& state,
    const TreeAttentionOptions& options = {});

} // namespace signalllm
