#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define SIGNALLLM_BOTH __host__ __device__
#else
#define SIGNALLLM_BOTH
#endif

/// Which nodes the positions of a chunk see in `tree_attention`: of every level
/// a few that lie behind one another. For kernels of all devices.
namespace signalllm::ops::tree {

/// Nodes `[first, end)` of a level.
struct NodeRange {
  int64_t first, end;
};

/// Levels beyond the positions that a chunk sees.
SIGNALLLM_BOTH inline int levels_seen(int64_t chunk) {
  int levels = 0;
  while ((chunk >> (levels + 1)) > 0) {
    ++levels;
  }
  return levels;
}

/// W / 2 or W nodes of a level from 1 to `levels_seen(chunk)`.
SIGNALLLM_BOTH inline NodeRange
nodes_seen(int64_t chunk, int level, int64_t window) {
  return {
      ((chunk >> level) - 1) * window,
      ((chunk >> (level - 1)) - 1) * window / 2};
}

/// Nodes of level 1 and above of a sequence one behind the other: where those
/// of `level` begin. `level` one too high: how many there are.
SIGNALLLM_BOTH inline int64_t first_node(int64_t length, int level) {
  int64_t first = 0;
  for (int l = 1; l < level; ++l) {
    first += length >> l;
  }
  return first;
}

} // namespace signalllm::ops::tree
