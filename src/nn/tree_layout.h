#pragma once

#include "nn/tree_scores.h"

#include <memory>

namespace signalllm::tree {

/// Where the chunks of a sequence find what they see: in the pyramid of its
/// keys (or values), all levels one behind the other.
///
/// A chunk has M = (J + 2) W slots: W of each level J, ..., 1, the chunk before
/// and its own. Slots of what is not in sight stay empty.
struct Layout {
  int64_t window = 0;
  /// A multiple of the window, and so many windows.
  int64_t length = 0;
  int64_t chunks = 0;
  int64_t levels = 0;
  /// First row of each level 0, ..., J in the pyramid, then its length.
  std::vector<int64_t> offsets;
  /// `[C, M]`: row of the pyramid; an empty slot names some row of the chunk.
  at::Tensor rows;
  /// `[C, M]`: index in the level.
  at::Tensor nodes;
  /// `[C, 1, M]` float32: j, the logarithm of a node's size to base 2; -inf for
  /// an empty slot.
  at::Tensor sizes;
  /// `[W, W]`.
  at::Tensor later;
  std::vector<int64_t> level_ends;

  int64_t slots() const {
    return (levels + 2) * window;
  }
  /// `[N, length, d]` to `[N, offsets.back(), d]`.
  at::Tensor pyramid(const at::Tensor& fine) const;
  /// Its adjoint; overwrites `gradient`.
  at::Tensor pyramid_adjoint(at::Tensor gradient) const;
};

/// The layout for at least `length` positions. Kept for the next call, so that
/// a training step computes and copies no indices; those of a device are kept
/// for good, as a recorded step may read them at any time.
std::shared_ptr<const Layout>
layout(int64_t length, int64_t window, c10::Device device);

} // namespace signalllm::tree
