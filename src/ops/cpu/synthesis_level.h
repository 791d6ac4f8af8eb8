#pragma once

#include "ops/cpu/synthesis_stage.h"

// Pair m makes the rows p = 2m and 2m + 1 of the full synthesis from the rows
// m - steps + 1 .. m of a and d. Pairs of two rows of the signal go straight to
// their place, through tables of row pointers where they read beyond the ends.
// What is left is computed in scratch, then copied (rows of the signal) or
// added with the weights of the extension (rows outside it, after all rows of
// the signal are there). Pairs of narrow rows are computed as a run of first
// and a run of second rows, which are then merged.

namespace signalllm::ops::cpu {

inline constexpr int64_t kEdgePairs = 8; // computed in scratch at once
inline constexpr int64_t kTablePairs = 256; // of one table

/// Pointers that such a table needs, for a and for d.
inline int64_t pair_table_size(int64_t steps) {
  return 2 * (kTablePairs + steps);
}

/// One job's work on one level.
template <class A>
struct SynthesisLevelJob {
  const SynthesisStage<A>& stage;
  int64_t l;
  Strip<const A> a, d;
  Strip<A> y;
  int64_t channels;
  Pairs<A> pairs; // filters set
  const A* zeros;
  A* rows; // 2 kEdgePairs of scratch
  const A** table;
  A* runs; // stage.narrow_space() values

  /// Rows [k, end) of a or d, zeros where there are none.
  void fill_table(
      const Strip<const A>& from,
      int64_t k,
      int64_t end,
      const A** to) const {
    const int64_t there = std::min(stage.level(l).coefficients, end);
    for (; k < 0 && k < end; ++k) {
      *to++ = zeros;
    }
    for (; k < there; ++k) {
      *to++ = from.at(k);
    }
    std::fill_n(to, std::max<int64_t>(0, end - k), zeros);
  }

  /// Pairs [m, m + n) to `to`.
  void by_table(int64_t m, int64_t n, A* to, int64_t stride) {
    const A** d_table = table + kTablePairs + stage.steps;
    fill_table(a, m - stage.steps + 1, m + n, table);
    fill_table(d, m - stage.steps + 1, m + n, d_table);
    auto p = pairs;
    p.a_table = table;
    p.d_table = d_table;
    p.y = to;
    p.y_step = 2 * stride;
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
          std::copy_n(rows + i * channels, channels, y.at(row));
        }
      }
    }
  }

  /// The rows of some pairs that lie outside the signal, folded into `out`.
  void fold(Range some, Range out) {
    const auto& overhang = stage.overhang[l];
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
          s.y = y.at(e.row[k]);
          s.add = s.y;
          s.w = &w;
          s.channels = channels;
          kernels<A>().scale(s);
        }
      }
    }
  }

  /// Rows k .. k + n - 1 of a and d, zeros where there are none.
  void pad(const Strip<const A>& from, int64_t k, int64_t n, A* to) const {
    const int64_t first = std::clamp<int64_t>(0, k, k + n);
    const int64_t last = std::clamp(stage.level(l).coefficients, first, k + n);
    std::fill_n(to, (first - k) * channels, A(0));
    if (first < last) {
      std::copy_n(
          from.at(first),
          (last - first) * channels,
          to + (first - k) * channels);
    }
    std::fill_n(
        to + (last - k) * channels,
        (k + n - last) * channels + stage.narrow.width,
        A(0));
  }

  /// Rows `out` of pairs [m, m + n), n up to narrow.rows.
  void narrow_pairs(int64_t m, int64_t n, Range out) {
    const auto& narrow = stage.narrow;
    const int64_t space = stage.run_space();
    const int64_t k = m - stage.steps + 1;
    const int64_t count = n + stage.steps - 1;
    const int64_t values = n * channels;
    A* even = runs + 2 * space;
    A* odd = even + space;
    auto p = pairs;
    p.lattice = nullptr;
    p.a_stride = p.d_stride = p.y_step = p.channels = narrow.width;
    p.tap_step = channels;
    p.y_stride = space;
    p.stream = false;
    p.prefetch = 0;
    if (stage.call.per_channel) {
      p.taps = stage.repeated.data();
      p.taps_stride = narrow.width;
    }
    const A *from_a, *from_d;
    if (k < 0 || k + count > stage.level(l).coefficients ||
        values < narrow.width) {
      pad(a, k, count, runs);
      pad(d, k, count, runs + space);
      from_a = runs;
      from_d = runs + space;
    } else {
      from_a = a.at(k);
      from_d = d.at(k);
    }
    const auto compute = [&](int64_t at, int64_t rows) {
      p.a = from_a + at;
      p.d = from_d + at;
      p.y = even + at;
      p.pairs = rows;
      kernels<A>().pairs(p);
    };
    compute(0, std::max<int64_t>(1, values / narrow.width));
    if (values > narrow.width && values % narrow.width > 0) {
      compute(values - narrow.width, 1);
    }
    // At most one row at each end is not wanted.
    const int64_t row = 2 * m - stage.left;
    int64_t first = 0, last = n;
    if (row < out.first) {
      std::copy_n(odd, channels, y.at(row + 1));
      ++first;
    }
    if (row + 2 * n > out.last && first < last) {
      --last;
      std::copy_n(even + last * channels, channels, y.at(row + 2 * last));
    }
    if (first < last) {
      kernels<A>().merge(
          even + first * channels,
          odd + first * channels,
          y.at(row + 2 * first),
          last - first,
          channels,
          pairs.stream);
    }
  }

  /// The rows of the signal.
  void run_rows(Range out) {
    const int64_t left = stage.left;
    const Range touched{(out.first + left) / 2, (out.last - 1 + left) / 2 + 1};
    if (stage.narrow.width > 0) {
      for (int64_t m = touched.first; m < touched.last;
           m += stage.narrow.rows) {
        narrow_pairs(m, std::min(stage.narrow.rows, touched.last - m), out);
      }
      return;
    }
    const Range whole{(out.first + left + 1) / 2, (out.last + left) / 2};
    Range inside{
        std::max(stage.steps - 1, whole.first),
        std::min(stage.level(l).coefficients, whole.last)};
    const bool within = inside.size() == whole.size();
    if (!within && whole.size() > 0 && whole.size() <= kTablePairs) {
      inside = whole;
      by_table(
          inside.first, inside.size(), y.at(2 * inside.first - left), y.stride);
    } else if (inside.size() == 0) {
      inside = {touched.last, touched.last};
    } else {
      auto p = pairs;
      p.a = a.at(inside.first - stage.steps + 1);
      p.d = d.at(inside.first - stage.steps + 1);
      p.a_stride = a.stride;
      p.d_stride = d.stride;
      p.y = y.at(2 * inside.first - left);
      p.y_step = 2 * y.stride;
      p.y_stride = y.stride;
      p.pairs = inside.size();
      p.channels = channels;
      kernels<A>().pairs(p);
    }
    copy({touched.first, inside.first}, out);
    copy({inside.last, touched.last}, out);
  }

  /// Rows `out`, which lie together in y.
  void run(Range out) {
    if (out.size() == 0) {
      return;
    }
    run_rows(out);
    if (stage.folds_before(l, out)) {
      fold(stage.pairs_before(), out);
    }
    if (stage.folds_after(l, out)) {
      fold(stage.pairs_after(l), out);
    }
  }
};

} // namespace signalllm::ops::cpu
