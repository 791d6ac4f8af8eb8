#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

/// The arithmetic of `tree_attention` for queries that share what they see, in
/// the dtype of accumulation. Not differentiable by itself.
namespace signalllm::tree {

/// What C groups of queries see: M keys a group, the coarsest level first, the
/// positions of the group's own chunk last.
struct Context {
  /// `[N, C, M, d]`.
  at::Tensor keys, values;
  /// `[C, 1, M]`: log of a node's size, -inf where a slot is empty.
  at::Tensor bias;
  /// `[C, M]`: a node's index in its level. Only read where nodes are opened.
  at::Tensor nodes;
  /// Ends of the slots of levels J, J - 1, ..., 1.
  std::vector<int64_t> level_ends;
  /// `[S, own]` of the last slots: true where a query must not look.
  at::Tensor later;
};

/// Children of the nodes that were opened one level above.
struct Children {
  int64_t level = 0;
  /// `[N, C, S, 2 k]`: index in their level.
  at::Tensor nodes;
  /// `[N, C, S, 2 k, d]`.
  at::Tensor keys;
  /// `[N, C, S, 2 k]`: logits, and in the end probabilities.
  at::Tensor scores;
};

/// The keys or values of nodes `[N, C, S, n]` of a level, `[N, C, S, n, d]`.
using Gather =
    std::function<at::Tensor(int64_t level, const at::Tensor& nodes)>;

/// One softmax over everything that is seen.
struct Probabilities {
  /// `[N, C, S, M]`.
  at::Tensor context;
  std::vector<Children> children;
};

/// `query` `[N, C, S, d]`, divided by sqrt(d) already.
Probabilities probabilities(
    const at::Tensor& query,
    const Context& context,
    int64_t opened,
    const Gather& key_of);

/// `[N, C, S, d]`.
at::Tensor
weigh(const Probabilities& p, const Context& context, const Gather& value_of);

/// The mean of two neighbours each, over dim -2: `[..., n, d]` to
/// `[..., floor(n / 2), d]`.
at::Tensor coarser(const at::Tensor& fine);

/// Levels beyond the positions that chunk number `chunk` sees.
int64_t levels_in_sight(int64_t chunk);

} // namespace signalllm::tree
