#pragma once

// Multilevel analysis of small signals, for filters of at most kShortTaps taps
// and border rules that look no further than a few rows from an end.
//
//   a_l[o] = sum_j lo[j] ext(a_{l-1})[2 o + 1 - j], d_l[o] with hi.
// The buffer of level l holds ext(a_l) over the rows [begin(l), end(l)) that
// the block's outputs need, beyond the ends included: load() and level(l) make
// the rows that exist, extend(l) the others. A barrier belongs before each.
// Tiles are so long that only the first and the last one reach beyond an end.

#include "short_block.cuh"

namespace signalllm::cuda {

struct ShortAnalysisParams : ShortShape {
  const void* input = nullptr;
  void* details[kShortLevels + 1] = {};
  void* approximation = nullptr;
  int approximation_rows = 0; // rows beyond the last are zero
};

template <class T, int F>
struct ShortAnalysis {
  static constexpr int V = kShortVector;
  using Params = ShortAnalysisParams;

  const Params& p;
  ShortPlace at;
  ShortShared shared;
  int channel;

  SIGNALLLM_HD ShortAnalysis(
      const Params& p,
      const ShortPlace& at,
      int channel_tile,
      float* memory)
      : p(p), at(at), shared{memory},
        channel((channel_tile * kShortLanes + at.lane()) * V) {}

  SIGNALLLM_HD void load() const {
    shared.load(p.filters, F, at.tid);
    if (channel >= p.channels) {
      return;
    }
    const int n = p.length[0], stop = least(end(0), n);
    const T* from = static_cast<const T*>(p.input) + offset(n);
#pragma unroll 2
    for (int r = most(begin(0), 0) + at.row(); r < stop; r += kShortRows) {
      ShortSum x;
      signalllm::cuda::load<T, V>(
          from + static_cast<int64_t>(r) * p.channels, x);
      row(0, r).put(x);
    }
  }

  SIGNALLLM_HD void level(int l) const {
    if (channel >= p.channels) {
      return;
    }
    float lo[F], hi[F];
#pragma unroll
    for (int j = 0; j < F; ++j) {
      lo[j] = shared.filters[j];
      hi[j] = shared.filters[F + j];
    }
    const int n = p.length[l], stop = least(end(l), n);
    const int own = first() ? 0 : at.tile * p.tile << (p.levels - l);
    const bool top = l == p.levels;
    T* details = static_cast<T*>(p.details[l]) + offset(n);
#pragma unroll 1
    for (int o = most(begin(l), 0) + at.row(); o < stop; o += kShortRows) {
      ShortSum a, d;
      clear(a);
      clear(d);
      const auto from = row(l - 1, 2 * o + 2 - F);
#pragma unroll
      for (int j = 0; j < F; ++j) {
        ShortSum x;
        (from + (F - 1 - j)).get(x);
        axpy(lo[j], x, a);
        axpy(hi[j], x, d);
      }
      if (o >= own) {
        store<T, V>(details + static_cast<int64_t>(o) * p.channels, d);
      }
      if (top) {
        approximation(o, a);
      } else {
        row(l, o).put(a);
      }
    }
    if (top && last() && at.row() == 0 && n < p.approximation_rows) {
      ShortSum zero;
      clear(zero);
      approximation(n, zero);
    }
  }

  /// Whether level l has rows beyond its ends; the same for a whole block.
  SIGNALLLM_HD bool extends(int l) const {
    return l < p.levels && (first() || last());
  }
  SIGNALLLM_HD void extend(int l) const {
    // F - 2 rows before, then as many as there are after.
    const int n = p.length[l], before = first() ? F - 2 : 0;
    const int count = before + (last() ? most(end(l) - n, 0) : 0);
#pragma unroll 1
    for (int c = at.row(); c < count; c += kShortRows) {
      const bool head = c < before;
      const int i = head ? -1 - c : before - 1 - c; // as EndRule counts
      const int origin = head ? 0 : n - 1, step = head ? 1 : -1;
      ShortSum x, y;
      clear(x);
      row(l, origin + step * p.rule.row(i)).get(y);
      axpy(p.rule.weight(i), y, x);
      row(l, origin + step * p.rule.edge).get(y);
      axpy(p.rule.edge_weight(i), y, x);
      row(l, origin + step * i).put(x);
    }
  }

 private:
  SIGNALLLM_HD bool first() const {
    return at.tile == 0;
  }
  SIGNALLLM_HD bool last() const {
    return at.tile + 1 == p.tiles;
  }
  SIGNALLLM_HD int begin(int l) const {
    const int before = F - 2;
    if (first()) {
      return l < p.levels ? -before : 0;
    }
    return (at.tile * p.tile - before) * (1 << (p.levels - l)) + before;
  }
  SIGNALLLM_HD int end(int l) const {
    if (last()) {
      return l < p.levels ? 2 * p.length[l + 1] : p.length[l];
    }
    return (at.tile + 1) * p.tile << (p.levels - l);
  }
  SIGNALLLM_HD ShortRow row(int l, int r) const {
    return shared.row((l & 1 ? p.odd_room : 0) + r - begin(l), at.lane());
  }
  /// The block's channels of a batch entry with `rows` rows.
  SIGNALLLM_HD int64_t offset(int rows) const {
    return static_cast<int64_t>(at.batch) * rows * p.channels + channel;
  }
  SIGNALLLM_HD void approximation(int r, const ShortSum& a) const {
    store<T, V>(
        static_cast<T*>(p.approximation) + offset(p.approximation_rows) +
            static_cast<int64_t>(r) * p.channels,
        a);
  }
};

} // namespace signalllm::cuda
