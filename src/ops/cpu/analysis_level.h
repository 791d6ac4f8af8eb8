#pragma once

#include "ops/cpu/analysis_stage.h"

// Row o reads x_ext[2o + base .. 2o + base + taps). Rows that lie inside the
// signal read it by stride; those of short signals, and the few at the ends of
// long ones, read through a table of row pointers, where an extension row with
// several terms is built in scratch.

namespace signalllm::ops::cpu {

inline constexpr int64_t kTableRows = 256; // outputs of one table

/// Pointers that such a table needs, and rows of scratch that are built for it.
inline int64_t table_size(int64_t taps) {
  return 2 * kTableRows + taps;
}
inline int64_t extended_rows(int64_t taps) {
  return 2 * taps;
}

/// One job's work on one level.
template <class A>
struct AnalysisLevelJob {
  const AnalysisStage<A>& stage;
  int64_t l;
  const A* x; // row 0 of the input, which may lie before the memory
  int64_t x_stride;
  int64_t channels;
  Fir<A> fir; // filters set
  const A* zeros;
  A* extended; // rows for the table
  const A** table;
  int64_t prefetch;

  const A* row(int64_t i, int64_t& used) {
    const auto& v = stage.level(l);
    if (i >= 0 && i < v.present) {
      return x + i * x_stride;
    }
    if (i >= 0 && i < v.length) {
      return zeros;
    }
    const auto& e = stage.overhang[l - stage.first].row(i);
    if (e.count == 0) {
      return zeros;
    }
    if (e.count == 1 && e.weight[0] == 1) {
      return e.row[0] < v.present ? x + e.row[0] * x_stride : zeros;
    }
    A* to = extended + used++ * channels;
    bool begun = false;
    for (int k = 0; k < e.count; ++k) {
      const A w = static_cast<A>(e.weight[k]);
      Scale<A> s;
      s.x = e.row[k] < v.present ? x + e.row[k] * x_stride : zeros;
      s.add = begun ? to : nullptr;
      s.y = to;
      s.w = &w;
      s.channels = channels;
      kernels<A>().scale(s);
      begun = true;
    }
    return to;
  }

  void by_table(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    for (int64_t o = out.first; o < out.last; o += kTableRows) {
      const int64_t n = std::min(kTableRows, out.last - o);
      const int64_t rows = 2 * (n - 1) + stage.call.taps;
      int64_t used = 0;
      for (int64_t i = 0; i < rows; ++i) {
        table[i] = row(2 * o + stage.base + i, used);
      }
      auto f = fir;
      f.table = table;
      f.lo = lo + (o - out.first) * lo_stride;
      f.hi = hi ? hi + (o - out.first) * hi_stride : nullptr;
      f.lo_stride = lo_stride;
      f.hi_stride = hi_stride;
      f.rows = n;
      f.channels = channels;
      f.prefetch = 0;
      kernels<A>().fir(f);
    }
  }

  /// Output rows `out` to lo and hi, which begin at row out.first.
  void run(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    if (out.size() == 0) {
      return;
    }
    const auto& v = stage.level(l);
    const int64_t wanted = kernels<A>().tile_rows;
    const auto clip = [&](int64_t o) {
      return std::clamp(o, out.first, out.last);
    };
    int64_t inside = clip((1 - stage.base) / 2);
    // v.present - taps - base may be negative: the floor of its half.
    const int64_t most = v.present - stage.call.taps - stage.base;
    int64_t outside = clip(most < 0 ? 0 : most / 2 + 1);
    const bool within = inside == out.first && outside == out.last;
    // One call for all rows fills registers once, whatever the kernel.
    if (outside < inside + wanted || (!within && out.size() <= kTableRows)) {
      by_table(out, lo, lo_stride, hi, hi_stride);
      return;
    }
    // A table of a whole register tile is no dearer than a part of it.
    if (inside > out.first) {
      inside = std::min(std::max(inside, out.first + wanted), outside);
    }
    if (outside < out.last) {
      outside = std::max(std::min(outside, out.last - wanted), inside);
    }
    const auto at = [&](A* p, int64_t stride, int64_t o) {
      return p ? p + (o - out.first) * stride : nullptr;
    };
    by_table({out.first, inside}, lo, lo_stride, hi, hi_stride);
    if (outside > inside) {
      auto f = fir;
      f.x = x + (2 * inside + stage.base) * x_stride;
      f.row_step = 2 * x_stride;
      f.tap_step = x_stride;
      f.lo = at(lo, lo_stride, inside);
      f.hi = at(hi, hi_stride, inside);
      f.lo_stride = lo_stride;
      f.hi_stride = hi_stride;
      f.rows = outside - inside;
      f.channels = channels;
      f.prefetch = prefetch;
      kernels<A>().fir(f);
    }
    by_table(
        {outside, out.last},
        at(lo, lo_stride, outside),
        lo_stride,
        at(hi, hi_stride, outside),
        hi_stride);
  }
};

} // namespace signalllm::ops::cpu
