#pragma once

#include <signalllm/nn/tree_attention.h>

/// What `tree_attention_incremental` keeps: of every level a ring of its last
/// 2 W nodes, of which a position sees W / 2 or W. Tensors are written in place
/// and what a position sees is computed from its number on the device, so that
/// a step can be recorded and repeated.
namespace signalllm::tree {

/// What positions see of a ring.
struct Sight {
  /// Added to the logits of all slots: the log of a node's size, -inf where it
  /// is not in sight; `[n, slots]`.
  at::Tensor bias;
  /// A node's index in its level, `[1, slots]`, where nodes are opened.
  at::Tensor nodes;
};

/// For positions `[n]` (int64) of one chunk, or any where none are opened.
Sight sight(
    const at::Tensor& positions,
    int64_t levels,
    const TreeAttentionOptions& options,
    const at::TensorOptions& like);

/// Levels of a state's ring; 1 where there is none yet.
int64_t ring_levels(const TreeAttentionState& state, int64_t window);

/// The slots where positions `[n]` go.
at::Tensor
slots_of(const at::Tensor& positions, int64_t levels, int64_t window);

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
    const TreeAttentionOptions& options);

/// To be called when `state.length` has grown, at least at the end of every
/// chunk: computes the nodes that are complete. True where a tensor has been
/// replaced by a larger one.
bool advance_ring(
    TreeAttentionState& state,
    const TreeAttentionOptions& options);

/// Attention of queries `[B, heads, n, d]`, divided by sqrt(d) already, to keys
/// and values `[B, heads, S, d]` with `bias` `[n, S]` added to the logits.
at::Tensor attend_all(
    const at::Tensor& query,
    const at::Tensor& keys,
    const at::Tensor& values,
    const at::Tensor& bias);

/// Attention of queries `[B, heads, n, d]`, divided by sqrt(d) already, of
/// positions that see `seen`.
at::Tensor attend_ring(
    const at::Tensor& query,
    const TreeAttentionState& state,
    const Sight& seen,
    const TreeAttentionOptions& options);

/// Rows of consecutive positions of one chunk, from `state.length` on, into
/// the ring.
void put_in_ring(
    TreeAttentionState& state,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);

} // namespace signalllm::tree
