#pragma once

#include "ops/cpu/analysis_stage.h"

// Row o reads x_ext[2o + base .. 2o + base + taps). Rows that lie inside the
// signal read it by stride; those of short signals, and the few at the ends of
// long ones, read through a table of row pointers, where an extension row with
// several terms is built in scratch. Narrow rows are first sorted into the even
// and the odd ones of x_ext from the first that is read: output o reads values
// o, o + 1 .. of both.

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
  Strip<const A> x;
  int64_t channels;
  Fir<A> fir; // filters set
  const A* zeros;
  A* extended; // rows for the table
  const A** table;
  A* phases; // stage.narrow_space() values
  TapRow<A>* tap_rows; // stage.narrow_taps()
  int64_t prefetch;

  const A* row(int64_t i, int64_t& used) {
    const auto& v = stage.level(l);
    if (i >= 0 && i < v.present) {
      return x.at(i);
    }
    if (i >= 0 && i < v.length) {
      return zeros;
    }
    const auto& e = stage.overhang[l - stage.first].row(i);
    if (e.count == 0) {
      return zeros;
    }
    if (e.count == 1 && e.weight[0] == 1) {
      return e.row[0] < v.present ? x.at(e.row[0]) : zeros;
    }
    A* to = extended + used++ * channels;
    bool begun = false;
    for (int k = 0; k < e.count; ++k) {
      const A w = static_cast<A>(e.weight[k]);
      Scale<A> s;
      s.x = e.row[k] < v.present ? x.at(e.row[k]) : zeros;
      s.add = begun ? to : nullptr;
      s.y = to;
      s.w = &w;
      s.channels = channels;
      kernels<A>().scale(s);
      begun = true;
    }
    return to;
  }

  /// What outputs [o, o + n) read, in the table.
  void fill_table(int64_t o, int64_t n) {
    int64_t i = 2 * o + stage.base;
    const int64_t end = i + 2 * (n - 1) + stage.call.taps;
    const int64_t present = std::min(stage.level(l).present, end);
    int64_t used = 0;
    const A** to = table;
    for (; i < 0 && i < end; ++i) {
      *to++ = row(i, used);
    }
    for (; i < present; ++i) {
      *to++ = x.at(i);
    }
    for (; i < end; ++i) {
      *to++ = row(i, used);
    }
  }

  void by_table(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    for (int64_t o = out.first; o < out.last; o += kTableRows) {
      const int64_t n = std::min(kTableRows, out.last - o);
      fill_table(o, n);
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

  /// The even and the odd rows of x_ext that outputs [o, o + n) read, and
  /// zeros behind them.
  void fill_phases(int64_t o, int64_t n) {
    const int64_t begin = 2 * o + stage.base;
    const int64_t count = n - 1 + stage.call.taps / 2;
    const int64_t end = begin + 2 * count;
    A* phase[2] = {phases, phases + stage.phase_space()};
    const auto copy = [&](int64_t i) {
      int64_t used = 0;
      const int64_t k = i - begin;
      std::copy_n(row(i, used), channels, phase[k % 2] + k / 2 * channels);
    };
    // Pairs of rows that the signal has.
    const int64_t present = stage.level(l).present;
    int64_t from = std::clamp<int64_t>(0, begin, end);
    from += (from - begin) % 2;
    const int64_t pairs =
        std::max<int64_t>(0, std::min(present, end) - from) / 2;
    from = pairs > 0 ? from : end;
    for (int64_t i = begin; i < from; ++i) {
      copy(i);
    }
    const int64_t at = (from - begin) / 2 * channels;
    if (pairs > 0) {
      kernels<A>().split(
          x.at(from), phase[0] + at, phase[1] + at, pairs, channels);
    }
    for (int64_t i = from + 2 * pairs; i < end; ++i) {
      copy(i);
    }
    for (auto* p : phase) {
      std::fill_n(p + count * channels, stage.narrow.width, A(0));
    }
  }

  /// The taps' rows, from value `at` of the phases on.
  void place_taps(int64_t at) {
    for (int64_t k = 0; k < stage.call.taps; ++k) {
      tap_rows[k] = {
          phases + at + k % 2 * stage.phase_space() + k / 2 * channels,
          stage.narrow.width};
    }
  }

  void run_narrow(Range out, A* lo, A* hi) {
    const auto& narrow = stage.narrow;
    auto f = fir;
    f.lattice = nullptr;
    f.channels = f.lo_stride = f.hi_stride = narrow.width;
    f.tap_rows = tap_rows;
    f.prefetch = 0;
    if (stage.call.per_channel) {
      f.taps_stride = narrow.width;
      f.taps_lo = stage.repeated_lo.data();
      f.taps_hi = stage.repeated_hi.data();
    }
    A* spare = phases + 2 * stage.phase_space();
    const auto streams = [&](const A* to) {
      return !stage.call.per_channel &&
          reinterpret_cast<uintptr_t>(to) % 64 == 0;
    };
    const auto compute = [&](int64_t at, int64_t rows, A* to_lo, A* to_hi) {
      place_taps(at);
      f.lo = to_lo;
      f.hi = to_hi;
      f.rows = rows;
      f.stream_lo = fir.stream_lo && at == 0 && streams(to_lo);
      f.stream_hi = fir.stream_hi && at == 0 && streams(to_hi);
      kernels<A>().fir(f);
    };
    for (int64_t o = out.first; o < out.last; o += narrow.rows) {
      const int64_t n = std::min(narrow.rows, out.last - o);
      const int64_t values = n * channels;
      fill_phases(o, n);
      A* to_lo = lo + (o - out.first) * channels;
      A* to_hi = hi ? hi + (o - out.first) * channels : nullptr;
      if (values < narrow.width) {
        A* spare_hi = hi ? spare + narrow.space(0) : nullptr;
        compute(0, 1, spare, spare_hi);
        std::copy_n(spare, values, to_lo);
        if (hi) {
          std::copy_n(spare_hi, values, to_hi);
        }
        continue;
      }
      compute(0, values / narrow.width, to_lo, to_hi);
      if (values % narrow.width > 0) {
        const int64_t at = values - narrow.width;
        compute(at, 1, to_lo + at, hi ? to_hi + at : nullptr);
      }
    }
  }

  /// Output rows `out` to lo and hi, which begin at row out.first.
  void run(Range out, A* lo, int64_t lo_stride, A* hi, int64_t hi_stride) {
    if (out.size() == 0) {
      return;
    }
    if (stage.narrow.width > 0) {
      run_narrow(out, lo, hi);
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
      f.x = x.at(2 * inside + stage.base);
      f.row_step = 2 * x.stride;
      f.tap_step = x.stride;
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
