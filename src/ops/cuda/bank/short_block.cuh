#pragma once

// What the kernels for small signals share: where the time is the way through
// the levels, not the bytes. A block takes one tile of one batch entry and
// kShortLanes vectors of channels, reads everything it needs in one go, and
// keeps all levels in shared memory, as sums, a row of lanes a row. Block
// (x, y, z) has the x-th channels, tile y and batch entry z; thread `tid` is
// lane `tid % kShortLanes` of thread row `tid / kShortLanes`. The code is
// short: fetching it is part of the time.

#include "end_rule.cuh"
#include "tile_block.cuh"

namespace signalllm::cuda {

constexpr int kShortVector = 4;
constexpr int kShortLanes = 8;
constexpr int kShortThreads = 256;
constexpr int kShortRows = kShortThreads / kShortLanes;
constexpr int kShortLevels = 8;
constexpr int kShortTaps = 8;

struct ShortShape {
  Filters filters;
  EndRule rule;
  bool folds = false; // the border rule is not zero
  int levels = 1;
  int length[kShortLevels + 1] = {};
  int channels = kShortVector;
  int channel_tiles = 1;
  int batch = 1;
  int tile = 1; // rows that a block owns: coarsest ones, or of the signal
  int tiles = 1; // the last one owns what is left, too
  int odd_room = 0; // first row of the buffer of the odd levels
  int rows = 0; // of all buffers

  int shared_bytes() const {
    return (rows * kShortLanes * kShortVector + 2 * kShortTaps) *
        static_cast<int>(sizeof(float));
  }
};

struct ShortPlace {
  int tile, batch, tid;

  SIGNALLLM_HD int lane() const {
    return tid % kShortLanes;
  }
  SIGNALLLM_HD int row() const {
    return tid / kShortLanes;
  }
};

using ShortSum = float[kShortVector];

/// A vector of sums, one access of shared memory.
struct ShortRow {
  Pack<float, kShortVector>* at;

  SIGNALLLM_HD void get(ShortSum& x) const {
    const auto pack = *at;
#pragma unroll
    for (int v = 0; v < kShortVector; ++v) {
      x[v] = pack.v[v];
    }
  }
  SIGNALLLM_HD void put(const ShortSum& x) const {
    Pack<float, kShortVector> pack;
#pragma unroll
    for (int v = 0; v < kShortVector; ++v) {
      pack.v[v] = x[v];
    }
    *at = pack;
  }
  SIGNALLLM_HD ShortRow operator+(int rows) const {
    return {at + rows * kShortLanes};
  }
};

/// Shared memory: the filters, lo then hi, then the rows.
struct ShortShared {
  float* filters;

  SIGNALLLM_HD ShortRow row(int r, int lane) const {
    auto* rows =
        reinterpret_cast<Pack<float, kShortVector>*>(filters + 2 * kShortTaps);
    return {rows + r * kShortLanes + lane};
  }
  SIGNALLLM_HD void load(const Filters& f, int taps, int tid) const {
    if (tid < 2 * taps) {
      const int j = tid < taps ? tid : tid - taps;
      const void* from = tid < taps ? f.lo : f.hi;
      filters[tid] =
          static_cast<const float*>(from)[f.reversed ? taps - 1 - j : j];
    }
  }
};

SIGNALLLM_HD int least(int a, int b) {
  return a < b ? a : b;
}
SIGNALLLM_HD int most(int a, int b) {
  return a > b ? a : b;
}

} // namespace signalllm::cuda
