#pragma once

#include "ops/cpu/synthesis_stage.h"

// Pair m makes the rows p = 2m and 2m + 1 of the full synthesis from the rows
// m - steps + 1 .. m of a and d. Pairs that lie inside go straight to their
// place. Pairs at the ends are computed in scratch from tables of row
// pointers, then copied (rows of the signal) or added with the weights of the
// extension (rows outside it, after all rows of the signal are there).

namespace signalllm::ops::cpu {

inline constexpr int64_t kEdgePairs = 8; // pairs of one table

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

  /// Pairs [m, m + n) into `rows`.
  void by_table(int64_t m, int64_t wanted) {
    // A whole register tile is no dearer than a part of it.
    const int64_t n = std::max(wanted, kernels<A>().tile_rows);
    const int64_t count = n + stage.steps - 1;
    const A** d_table = table + kEdgePairs + stage.steps;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = m - stage.steps + 1 + i;
      const bool there =
          k >= 0 && k < stage.level(l).coefficients && k < m + wanted;
      table[i] = there ? a + k * a_stride : zeros;
      d_table[i] = there ? d + k * d_stride : zeros;
    }
    auto p = pairs;
    p.a_table = table;
    p.d_table = d_table;
    p.y = rows;
    p.y_stride = channels;
    p.pairs = n;
    p.channels = channels;
    p.prefetch = 0;
    p.stream = false;
    kernels<A>().pairs(p);
  }

  /// The rows of some pairs that lie in `out`.
  void copy(Range some, Range out) {
    for (int64_t m = some.first; m < some.last; m += kEdgePairs) {
      const int64_t n = std::min(kEdgePairs, some.last - m);
      by_table(m, n);
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
      by_table(m, n);
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
    Range inside{
        std::max(stage.steps - 1, (out.first + left + 1) / 2),
        std::min(stage.level(l).coefficients, (out.last + left) / 2)};
    if (inside.size() == 0) {
      inside = {touched.last, touched.last};
    }
    if (inside.size() > 0) {
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
