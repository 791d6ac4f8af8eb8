#pragma once

#include "ops/cpu/synthesis_stage.h"

// Pair m makes the rows p = 2m and 2m + 1 of the full synthesis from the rows
// m - steps + 1 .. m of a and d. Pairs of two rows of the signal go straight to
// their place, through tables of row pointers where they read beyond the ends.
// What is left is computed in scratch, then copied (rows of the signal) or
// added with the weights of the extension (rows outside it, after all rows of
// the signal are there).

namespace signalllm::ops::cpu {

inline constexpr int64_t kEdgePairs = 8; // computed in scratch at once
inline constexpr int64_t kTablePairs = 256; // of one table

/// Pointers that such a table needs, for a and for d.
inline int64_t pair_table_size(int64_t steps) {
  return 2 * (kTablePairs + steps);
}

/// One job's work on one level. Row k of a lies at a + k a_stride, row n of
/// the output at y + n y_stride, also where these begin before the memory.
template <class A>
struct SynthesisLevelJob {
  const SynthesisStage<A>& stage;
  int64_t l;
  const A* a;
  int64_t a_stride;
  const A* d;
  int64_t d_stride;
  A* y;
  int64_t y_stride;
  int64_t channels;
  Pairs<A> pairs; // filters set
  const A* zeros;
  A* rows; // 2 kEdgePairs of scratch
  const A** table;

  /// Pairs [m, m + n) to `to`.
  void by_table(int64_t m, int64_t n, A* to, int64_t stride) {
    const int64_t count = n + stage.steps - 1;
    const A** d_table = table + kTablePairs + stage.steps;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = m - stage.steps + 1 + i;
      const bool there = k >= 0 && k < stage.level(l).coefficients;
      table[i] = there ? a + k * a_stride : zeros;
      d_table[i] = there ? d + k * d_stride : zeros;
    }
    auto p = pairs;
    p.a_table = table;
    p.d_table = d_table;
    p.y = to;
    p.y_stride = stride;
    p.pairs = n;
    p.channels = channels;
    p.prefetch = 0;
    p.stream = p.stream && to != rows;
    kernels<A>().pairs(p);
  }

  /// The rows of some pairs that lie in `out`.
  void copy(Range some, Range out) {
    for (int64_t m = some.first; m < some.last; m += kEdgePairs) {
      const int64_t n = std::min(kEdgePairs, some.last - m);
      by_table(m, n, rows, channels);
      for (int64_t i = 0; i < 2 * n; ++i) {
        const int64_t row = 2 * m + i - stage.left;
        if (row >= out.first && row < out.last) {
          std::copy_n(rows + i * channels, channels, y + row * y_stride);
        }
      }
    }
  }

  /// The rows of some pairs that lie outside the signal, folded into `out`.
  void fold(Range some, Range out) {
    const auto& overhang = stage.overhang[l - stage.first];
    for (int64_t m = some.first; m < some.last; m += kEdgePairs) {
      const int64_t n = std::min(kEdgePairs, some.last - m);
      by_table(m, n, rows, channels);
      for (int64_t i = 0; i < 2 * n; ++i) {
        const int64_t row = 2 * m + i - stage.left;
        if ((row >= 0 && row < stage.level(l).length) ||
            row < overhang.first() || row >= overhang.last()) {
          continue;
        }
        const auto& e = overhang.row(row);
        for (int k = 0; k < e.count; ++k) {
          if (e.row[k] < out.first || e.row[k] >= out.last) {
            continue;
          }
          const A w = static_cast<A>(e.weight[k]);
          Scale<A> s;
          s.x = rows + i * channels;
          s.y = y + e.row[k] * y_stride;
          s.add = s.y;
          s.w = &w;
          s.channels = channels;
          kernels<A>().scale(s);
        }
      }
    }
  }

  void run(Range out) {
    const int64_t left = stage.left;
    const Range touched{(out.first + left) / 2, (out.last - 1 + left) / 2 + 1};
    const Range whole{(out.first + left + 1) / 2, (out.last + left) / 2};
    Range inside{
        std::max(stage.steps - 1, whole.first),
        std::min(stage.level(l).coefficients, whole.last)};
    const bool within = inside.size() == whole.size();
    if (!within && whole.size() > 0 && whole.size() <= kTablePairs) {
      inside = whole;
      by_table(
          inside.first,
          inside.size(),
          y + (2 * inside.first - left) * y_stride,
          y_stride);
    } else if (inside.size() == 0) {
      inside = {touched.last, touched.last};
    } else {
      auto p = pairs;
      p.a = a + (inside.first - stage.steps + 1) * a_stride;
      p.d = d + (inside.first - stage.steps + 1) * d_stride;
      p.a_stride = a_stride;
      p.d_stride = d_stride;
      p.y = y + (2 * inside.first - left) * y_stride;
      p.y_stride = y_stride;
      p.pairs = inside.size();
      p.channels = channels;
      kernels<A>().pairs(p);
    }
    copy({touched.first, inside.first}, out);
    copy({inside.last, touched.last}, out);
    if (stage.folds_before(l, out)) {
      fold(stage.pairs_before(), out);
    }
    if (stage.folds_after(l, out)) {
      fold(stage.pairs_after(l), out);
    }
  }
};

} // namespace signalllm::ops::cpu
