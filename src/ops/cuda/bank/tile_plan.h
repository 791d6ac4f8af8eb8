#pragma once

#include "extension.cuh"

namespace signalllm::cuda {

/// Levels of one launch; more are done in groups.
constexpr int kMaxLevels = 8;

struct Rows {
  int begin = 0;
  int end = 0;

  SIGNALLLM_HD int size() const {
    return end - begin;
  }
};

/// The rows of one level that a tile works on: one run, and a second one near
/// the other end where the border rule wraps around.
struct Need {
  Rows main, extra;

  SIGNALLLM_HD int size() const {
    return main.size() + extra.size();
  }
  SIGNALLLM_HD bool has(int row) const {
    return (row >= main.begin && row < main.end) ||
        (row >= extra.begin && row < extra.end);
  }
  /// Position of a row among the tile's rows.
  SIGNALLLM_HD int position(int row) const {
    return row >= main.begin && row < main.end
        ? row - main.begin
        : main.size() + row - extra.begin;
  }
};

/// How a transform along the sequence is cut into tiles. Level 0 is the
/// signal, level l > 0 has `length[l]` coefficients. Tile k owns the rows
/// [k unit[l], (k + 1) unit[l]) of level l that exist, and needs some more:
/// `before[l]` and `after[l]` of them inside; the first tile and the last two,
/// where the border rule decides, have their rows listed.
struct TilePlan {
  int levels = 0;
  int tiles = 0;
  int length[kMaxLevels + 1] = {};
  int unit[kMaxLevels + 1] = {};
  int before[kMaxLevels + 1] = {};
  int after[kMaxLevels + 1] = {};
  Need edge[3][kMaxLevels + 1];
  int rows[2] = {}; // most rows that an even and an odd inner level keeps

  SIGNALLLM_HD Need need(int tile, int level) const {
    if (tile == 0) {
      return edge[0][level];
    }
    if (tile >= tiles - 2) {
      return edge[tile - tiles + 3][level];
    }
    Need out;
    out.main.begin = tile * unit[level] - before[level];
    out.main.end = (tile + 1) * unit[level] + after[level];
    return out;
  }

  SIGNALLLM_HD Rows own(int tile, int level) const {
    const int begin = tile * unit[level], end = begin + unit[level];
    const int n = length[level];
    return {begin < n ? begin : n, end < n && tile + 1 < tiles ? end : n};
  }
};

/// The bank's geometry: tap j of coefficient o meets row 2o + offset - j.
struct Bank {
  Border border = Border::zero;
  int taps = 2;
  int offset = 1;
};

/// What a launch can hold and wants: rows that one sweep of a block's threads
/// computes, rows that fit in shared memory, tiles that fill the device.
struct TileLimits {
  int sweep = 256;
  int capacity = 512;
  int tiles = 1;
};

/// Plans for lengths[0..levels]; false where the tiles would not fit.
bool plan_analysis(
    const Bank& bank,
    const int* lengths,
    int levels,
    const TileLimits& limits,
    TilePlan& plan);
bool plan_synthesis(
    const Bank& bank,
    const int* lengths,
    int levels,
    const TileLimits& limits,
    TilePlan& plan);

} // namespace signalllm::cuda
