#pragma once

#include "ops/cpu/rows.h"
#include "ops/cpu/stationary_plan.h"

#include <algorithm>

// What the drivers of the undecimated bank share. Rows are counted as if the
// signal went on for ever: a tile's halo may begin before row 0 and end behind
// the last one. The signal itself is read modulo its length; what lies between
// the levels of a tile is kept for the rows that the next level reads, halo
// included. Where the halo would be as long as the signal there is one tile,
// and everything is read modulo the length.
//
// A piece of rows in which no tap passes the signal's end is one call.

namespace signalllm::ops::cpu {

/// Rows in memory; with `wraps` rows.size() of them, for ever.
template <class A>
struct Band {
  A* data = nullptr;
  int64_t stride = 0;
  Range rows = {};
  bool wraps = false;

  /// Where row i lies, and how many rows follow from there on, i included.
  A* at(int64_t i, int64_t& left) const {
    const int64_t n = rows.size();
    int64_t k = i - rows.first;
    if (wraps) {
      k %= n;
      k = k < 0 ? k + n : k;
    }
    left = n - k;
    return data + k * stride;
  }
  A* at(int64_t i) const {
    int64_t left;
    return at(i, left);
  }
};

template <class A>
class StationaryJob {
 public:
  const StationaryPlan<A>& plan;
  const Stationary<A>& call;
  int64_t c0, batch, channels;
  Range own;

  StationaryJob(const StationaryPlan<A>& p, int64_t job)
      : plan(p), call(p.call), c0(job / p.tiles() % p.blocks() * p.block),
        batch(job / p.tiles() / p.blocks()),
        channels(std::min(p.block, call.inner - c0)) {
    const int64_t t = job % p.tiles();
    own = {t * p.tile, std::min((t + 1) * p.tile, call.length)};
  }

  /// Rows that `out` of a level reads when tap k reads k - back dilations on.
  Range read(Range out, int64_t level, int64_t back) const {
    if (plan.whole) {
      return {0, call.length};
    }
    const int64_t d = plan.dilation(level);
    return {out.first - d * back, out.last + d * (call.taps - 1 - back)};
  }

  bool half() const {
    return is_half(call.storage);
  }
  int64_t start() const {
    return batch * call.length * call.inner + c0;
  }

  Band<A> field(Scratch& scratch, Range rows) const {
    return {
        scratch.take<A>(rows.size() * channels), channels, rows, plan.whole};
  }

  /// A tensor's rows, all of them in place or `rows` widened into scratch.
  Band<A> load(const void* tensor, Range rows, Scratch& scratch) const {
    if (!half()) {
      auto* data = const_cast<A*>(static_cast<const A*>(tensor));
      return {data + start(), call.inner, {0, call.length}, true};
    }
    const auto to = field(scratch, rows);
    fill(tensor, to);
    return to;
  }
  void fill(const void* tensor, const Band<A>& to) const {
    const int64_t n = call.length;
    for (int64_t i = to.rows.first; i < to.rows.last;) {
      const int64_t k = (i % n + n) % n;
      const int64_t count = std::min(n - k, to.rows.last - i);
      load_rows(
          call.storage,
          tensor,
          start() + k * call.inner,
          call.inner,
          to.at(i),
          to.stride,
          count,
          channels);
      i += count;
    }
  }
  void store(const A* from, Range rows, void* tensor) const {
    store_rows(
        call.storage,
        from,
        channels,
        tensor,
        start() + rows.first * call.inner,
        call.inner,
        rows.size(),
        channels);
  }
  /// Rows of a tensor that is not half precision, from `row` on.
  A* place(void* tensor, int64_t row) const {
    return static_cast<A*>(tensor) + start() + row * call.inner;
  }

  /// Calls f(first row, rows, tap rows) for pieces of `out`; tap rows of all
  /// bands one after the other.
  template <class F>
  void pieces(
      Range out,
      int64_t level,
      int64_t back,
      std::initializer_list<const Band<A>*> bands,
      TapRow<A>* taps,
      F&& f) const {
    const int64_t d = plan.dilation(level);
    for (int64_t o = out.first; o < out.last;) {
      int64_t n = out.last - o;
      auto* to = taps;
      for (const auto* band : bands) {
        for (int64_t k = 0; k < call.taps; ++k) {
          int64_t left;
          const A* x = band->at(o + d * (k - back), left);
          *to++ = {x, plan.narrow.width > 0 ? plan.narrow.width : band->stride};
          n = std::min(n, left);
        }
      }
      f(o, n, to - taps);
      o += n;
    }
  }

  /// Rows `out` of lo and, where not null, hi, which begin there.
  void filter(
      Range out,
      int64_t level,
      int64_t back,
      std::initializer_list<const Band<A>*> bands,
      const A* taps_lo,
      const A* taps_hi,
      TapRow<A>* taps,
      Band<A> lo,
      Band<A> hi) const {
    const int64_t offset = call.per_channel && plan.narrow.width == 0 ? c0 : 0;
    Fir<A> f;
    f.tap_rows = taps;
    f.taps_lo = taps_lo + offset;
    f.taps_hi = taps_hi ? taps_hi + offset : nullptr;
    f.taps_stride = plan.taps_stride;
    const int64_t width = plan.narrow.width;
    pieces(
        out,
        level,
        back,
        bands,
        taps,
        [&](int64_t o, int64_t n, int64_t count) {
          f.taps = count;
          f.lo = lo.data + (o - out.first) * lo.stride;
          f.hi = hi.data ? hi.data + (o - out.first) * hi.stride : nullptr;
          f.lo_stride = width > 0 ? width : lo.stride;
          f.hi_stride = width > 0 ? width : hi.stride;
          f.rows = n;
          f.channels = channels;
          const int64_t values = n * channels;
          if (width > 0) {
            f.rows = std::max<int64_t>(1, values / width);
            f.channels = std::min(values, width);
          }
          kernels<A>().fir(f);
          if (width > 0 && values > width && values % width > 0) {
            const int64_t at = values - width;
            for (int64_t k = 0; k < count; ++k) {
              taps[k].x += at;
            }
            f.lo += at;
            f.hi = f.hi ? f.hi + at : nullptr;
            f.rows = 1;
            kernels<A>().fir(f);
          }
        });
  }

  /// Adds sum_n lo[n] x[n + 2^level (k - back)], n in `own`, to sums_lo, and
  /// hi's to sums_hi; both `[taps][narrow.width]` for narrow rows with one sum
  /// a channel.
  void gradient(
      int64_t level,
      int64_t back,
      const Band<A>& x,
      const Band<A>& lo,
      const Band<A>& hi,
      TapRow<A>* taps,
      A* sums_lo,
      A* sums_hi,
      int64_t sums_stride) const {
    const int64_t width = plan.narrow.width;
    FirGradient<A> g;
    g.tap_rows = taps;
    g.taps = call.taps;
    g.sums_lo = sums_lo;
    g.sums_hi = sums_hi;
    g.sums_stride = sums_stride;
    constexpr int64_t kUnitRows = 64; // fit the first cache
    pieces(
        own, level, back, {&x}, taps, [&](int64_t o, int64_t n, int64_t count) {
          const int64_t values = width > 0 ? n * channels : n;
          const int64_t unit = width > 0 ? width : 1;
          for (int64_t i = 0; i < values;) {
            const int64_t left = values - i;
            g.rows = std::clamp<int64_t>(left / unit, 1, kUnitRows);
            g.channels = width > 0 ? std::min(left, width) : channels;
            g.lo_stride = width > 0 ? width : lo.stride;
            g.hi_stride = width > 0 ? width : hi.stride;
            g.lo = lo.at(o) + i * (width > 0 ? 1 : lo.stride);
            g.hi = hi.at(o) + i * (width > 0 ? 1 : hi.stride);
            kernels<A>().fir_gradient(g);
            const int64_t done = std::min(left, g.rows * unit);
            for (int64_t k = 0; k < count; ++k) {
              taps[k].x += width > 0 ? done : done * taps[k].step;
            }
            i += done;
          }
        });
  }
};

} // namespace signalllm::ops::cpu
