#pragma once

#include <signalllm/nn/tree_attention.h>

/// What `tree_attention_incremental` keeps where no nodes are opened: of every
/// level a ring of its last 2 W nodes, of which a position sees W / 2 or W.
/// Tensors are written in place and what a position sees is computed from its
/// number on the device, so that a step can be recorded and repeated.
namespace signalllm::tree {

/// What the positions `[n]` (int64) add to the logits of all slots: the log of
/// a node's size, -inf where it is not in sight; `[n, 2 W levels]`.
at::Tensor ring_bias(
    const at::Tensor& positions,
    int64_t window,
    int64_t levels,
    const at::TensorOptions& like);

/// Levels of a state's ring.
int64_t ring_levels(const TreeAttentionState& state, int64_t window);

/// An empty ring for rows like `key` `[B, heads, T, d]`, unless there is one.
void make_ring(
    TreeAttentionState& state,
    const at::Tensor& key,
    int64_t window);

/// Takes up the first positions of a sequence.
void fill_ring(
    TreeAttentionState& state,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);

/// To be called when `state.length` has grown, at least at the end of every
/// chunk: computes the nodes that are complete. True where the ring has been
/// replaced by one with another level.
bool advance_ring(TreeAttentionState& state, int64_t window);

/// Attention of queries `[B, heads, n, d]`, divided by sqrt(d) already, with
/// the `bias` of their positions.
at::Tensor attend_ring(
    const at::Tensor& query,
    const TreeAttentionState& state,
    const at::Tensor& bias);

/// `tree_attention_incremental` without opened nodes; keys and values are kept
/// in `wide`.
at::Tensor ring_incremental(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    TreeAttentionState& state,
    int64_t window,
    at::ScalarType wide);

} // namespace signalllm::tree
