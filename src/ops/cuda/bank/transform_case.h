#pragma once

#include "tile_plan.h"

#include "ops/cuda/device.h"

namespace signalllm::cuda {

/// What decides which kernel makes a transform, and how it is cut.
struct TransformCase {
  Bank bank;
  const int* length = nullptr; // of the levels, the signal's first
  int levels = 1;
  int64_t batch = 1;
  int channels = 1;
  Device device = {};
  bool half = false; // two-byte values
};

/// Whether the border rule reads only rows next to the same end, and the levels
/// are long enough that the rows at one end stay apart from the other.
inline bool ends_apart(const TransformCase& c) {
  if (wraps(c.bank.border) || c.bank.offset != 1) {
    return false;
  }
  for (int l = 0; l < c.levels; ++l) {
    if (c.length[l] < 2 * c.bank.taps) {
      return false;
    }
  }
  return true;
}

} // namespace signalllm::cuda
