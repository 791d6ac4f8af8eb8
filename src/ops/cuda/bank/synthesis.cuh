#pragma once

// Multilevel synthesis, all levels in one launch; the transpose of the
// analysis, and waverec.
//
// Level l makes, for its tile's rows n of a_{l-1},
//   u[i] = sum_o lo[i + s - 2 o] a_l[o] + hi[i + s - 2 o] d_l[o],
//   a_{l-1}[n] = u[n] + sum over rows i beyond the ends of weight(i, n) u[i],
// s = taps - 1 - offset, weight(i, n) being the border rule's x_ext[i] =
// sum_n weight(i, n) x[n]. A thread makes R pairs of rows (2m - s % 2 and the
// next) of V channels: both rows read the coefficients m + s / 2 - j with the
// even and the odd taps, so that R + F/2 - 1 loads a band serve R * F
// products. a_l comes from global memory at the coarsest level, else from
// shared memory; details always from global memory.
//
// Rows near the ends, to which the border rule adds, are left out of that:
// while it runs, the u[i] beyond the ends go to shared memory, and after a
// barrier one thread row a row n adds them up.

#include "tile_block.cuh"

namespace signalllm::cuda {

struct SynthesisParams {
  Shape shape;
  Filters filters;
  Bank bank;
  TilePlan plan;
  const void* approximation = nullptr;
  int approximation_rows = 0; // stored, of which the first length[levels] count
  const void* details[kMaxLevels + 1] = {};
  void* output = nullptr;
  bool wide_approximation = false;
  bool wide_output = false;
};

template <class T, int V, int R, int F, bool PerChannel>
struct SynthesisTile {
  using A = Acc<T>;
  using Taps = SharedFilters<A, V, PerChannel>;

  const SynthesisParams& p;
  Position<V> at;
  A* taps_memory;
  BorderRow* tables;
  A* beyond;
  A* rows[2];

  SIGNALLLM_HD
  SynthesisTile(const SynthesisParams& p, int64_t block, int tid, void* shared)
      : p(p), at(p.shape, p.plan.tiles, block, tid) {
    taps_memory = static_cast<A*>(shared);
    const int width = p.shape.lanes * V;
    A* next = taps_memory + filter_size(p);
    tables = reinterpret_cast<BorderRow*>(next);
    beyond = next + table_size(p);
    rows[0] = beyond + beyond_size(p);
    rows[1] = rows[0] + p.plan.rows[0] * width;
  }

  static int64_t shared_bytes(const SynthesisParams& p) {
    return (filter_size(p) + table_size(p) + beyond_size(p) +
            static_cast<int64_t>(p.plan.rows[0] + p.plan.rows[1]) *
                p.shape.lanes * V) *
        sizeof(A);
  }

  SIGNALLLM_HD void prepare(int tid) const {
    Taps::fill(taps_memory, p.filters, p.shape, at.channel - at.lane * V, tid);
    if (folds() && (at.tile == 0 || at.tile >= p.plan.tiles - 2)) {
      BorderTable::fill(tables, p.bank, p.plan, tid, p.shape.threads);
    }
  }

  /// Rows of level l - 1 that are plain synthesis.
  SIGNALLLM_HD Rows plain(int l) const {
    const int n = p.plan.length[l - 1];
    const int zone = folds() ? taps() : 0;
    int begin = p.bank.offset - 1, end = 2 * p.plan.length[l] - shift();
    begin = begin > zone ? begin : zone;
    end = end < n ? end : n;
    if (folds()) {
      end = end < n - taps() - 1 ? end : n - taps() - 1;
    }
    return {begin, end > begin ? end : begin};
  }
  /// Whether the tile has others too; the same for a whole block.
  SIGNALLLM_HD bool has_ends(int l) const {
    const Need need = p.plan.need(at.tile, l - 1);
    const Rows inner = plain(l);
    const auto outside = [&](const Rows& r) {
      return r.size() > 0 && (r.begin < inner.begin || r.end > inner.end);
    };
    return outside(need.main) || outside(need.extra);
  }

  /// From level l to level l - 1, the plain rows (`ends` false), then, where
  /// has_ends says so, the others. A barrier belongs before each.
  SIGNALLLM_HD void level(int l, bool ends) const {
    if (!at.active) {
      return;
    }
    const int64_t channels = p.shape.channels;
    const GlobalRows<T, V> d{
        static_cast<const T*>(p.details[l]) +
            at.batch * p.plan.length[l] * channels + at.channel,
        channels};
    const int64_t offset =
        at.batch * p.approximation_rows * channels + at.channel;
    if (l < p.plan.levels) {
      const Need from = p.plan.need(at.tile, l);
      level(
          l,
          TileRows<A, V>{rows[l % 2], p.shape.lanes, at.lane, from},
          d,
          ends);
    } else if (F == 0 && p.wide_approximation) {
      level(
          l,
          GlobalRows<A, V>{
              static_cast<const A*>(p.approximation) + offset, channels},
          d,
          ends);
    } else {
      level(
          l,
          GlobalRows<T, V>{
              static_cast<const T*>(p.approximation) + offset, channels},
          d,
          ends);
    }
  }

 private:
  SIGNALLLM_HD int taps() const {
    return F ? F : p.bank.taps;
  }
  /// s of the head comment.
  SIGNALLLM_HD int shift() const {
    return taps() - 1 - p.bank.offset;
  }

  SIGNALLLM_HD bool folds() const {
    return p.bank.border != Border::zero;
  }
  static SIGNALLLM_HD int filter_size(const SynthesisParams& p) {
    return rounded<A>(Taps::size(p.shape, p.bank.taps) * sizeof(A));
  }
  static SIGNALLLM_HD int table_size(const SynthesisParams& p) {
    return p.bank.border == Border::zero
        ? 0
        : rounded<A>(
              p.plan.levels * BorderTable::size(p.bank.taps) *
              sizeof(BorderRow));
  }
  static SIGNALLLM_HD int beyond_size(const SynthesisParams& p) {
    return p.bank.border == Border::zero
        ? 0
        : BorderTable::size(p.bank.taps) * p.shape.lanes * V;
  }
  SIGNALLLM_HD BorderTable table(int l) const {
    return {
        tables + (l - 1) * BorderTable::size(taps()),
        taps(),
        p.plan.length[l - 1]};
  }

  template <class Source>
  SIGNALLLM_HD void
  level(int l, const Source& a, const GlobalRows<T, V>& d, bool ends) const {
    const Need need = p.plan.need(at.tile, l - 1);
    const Rows inner = plain(l);
    if (ends) {
      const auto run = [&](int begin, int end) {
        for (int row = begin + at.row; row < end; row += at.rows) {
          fold(l, a, d, need, row);
        }
      };
      for (int k = 0; k < 2; ++k) {
        const Rows r = k == 0 ? need.main : need.extra;
        run(r.begin, r.end < inner.begin ? r.end : inner.begin);
        const int from = inner.begin > inner.end ? inner.begin : inner.end;
        run(r.begin > from ? r.begin : from, r.end);
      }
      return;
    }
    const Rows main = meet(need.main, inner), extra = meet(need.extra, inner);
    const int odd = shift() & 1;
    // Pairs that cover each run of rows.
    const int main_pair = (main.begin + odd) / 2;
    const int extra_pair = (extra.begin + odd) / 2;
    const int first = groups(main, main_pair, odd);
    const int count = first + groups(extra, extra_pair, odd);
    for (int g = at.row; g < count; g += at.rows) {
      const bool in_main = g < first;
      const Rows run = in_main ? main : extra;
      const int m = in_main ? main_pair + g * R : extra_pair + (g - first) * R;
      A y[2 * R][V];
#pragma unroll
      for (int r = 0; r < 2 * R; ++r) {
        clear(y[r]);
      }
      const int row = 2 * m - odd;
      const int end = row + 2 * R < run.end ? row + 2 * R : run.end;
      const int low = m + shift() / 2 - taps() / 2 + 1;
      const int high = m + shift() / 2 + (end - 1 - row) / 2;
      filter(0, pieces(a, low, high), m, high, y);
      filter(1, d, m, high, y);
#pragma unroll
      for (int r = 0; r < 2 * R; ++r) {
        if (row + r >= run.begin && row + r < run.end) {
          write(l, need, row + r, y[r]);
        }
      }
    }
    if (folds() && has_ends(l)) {
      put_beyond(l, a, d);
    }
  }

  static SIGNALLLM_HD Rows meet(const Rows& a, const Rows& b) {
    const int begin = a.begin > b.begin ? a.begin : b.begin;
    const int end = a.end < b.end ? a.end : b.end;
    return {begin, end > begin ? end : begin};
  }

  static SIGNALLLM_HD int groups(const Rows& run, int pair, int odd) {
    return run.size() > 0 ? (run.end + odd - 2 * pair + 2 * R - 1) / (2 * R)
                          : 0;
  }

  template <class U>
  static SIGNALLLM_HD const GlobalRows<U, V>&
  pieces(const GlobalRows<U, V>& source, int, int) {
    return source;
  }
  SIGNALLLM_HD RunRows<A, V>
  pieces(const TileRows<A, V>& source, int low, int high) const {
    const auto& need = source.need;
    const bool main = low >= need.main.begin && high < need.main.end;
    return {
        source.data + (main ? 0 : need.main.size() * p.shape.lanes * V),
        p.shape.lanes,
        at.lane,
        main ? need.main.begin : need.extra.begin};
  }

  template <class Source>
  SIGNALLLM_HD void filter(
      int which,
      const Source& source,
      int m,
      int high,
      A (&y)[2 * R][V]) const {
    const Taps f{taps_memory, p.shape.lanes, at.lane};
    const int top = m + shift() / 2;
    A w[R][V];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      source.get(top + r < high ? top + r : high, w[r]);
    }
    const auto step = [&](int j) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
        f.phases(which, j, w[r], y[2 * r], y[2 * r + 1]);
      }
      if (2 * j + 2 < taps()) {
#pragma unroll
        for (int r = R - 1; r > 0; --r) {
#pragma unroll
          for (int v = 0; v < V; ++v) {
            w[r][v] = w[r - 1][v];
          }
        }
        source.get(top - j - 1, w[0]);
      }
    };
    if constexpr (F > 0) {
#pragma unroll
      for (int j = 0; j < F / 2; ++j) {
        step(j);
      }
    } else {
#pragma unroll 2
      for (int j = 0; j < taps() / 2; ++j) {
        step(j);
      }
    }
  }

  /// u[i].
  template <class Source>
  SIGNALLLM_HD void full(
      const Source& a,
      const GlobalRows<T, V>& d,
      int i,
      int count,
      A (&u)[V]) const {
    const Taps f{taps_memory, p.shape.lanes, at.lane};
    clear(u);
#pragma unroll 4
    for (int j = (i + shift()) & 1; j < taps(); j += 2) {
      const int o = (i + shift() - j) / 2;
      if (i + shift() - j >= 0 && o < count) {
        A x[V], y[V];
        a.get(o, x);
        d.get(o, y);
        f.one(2 * j, x, u);
        f.one(2 * j + 1, y, u);
      }
    }
  }

  SIGNALLLM_HD bool holds(int l, int first, int last) const {
    const Need need = p.plan.need(at.tile, l);
    return need.has(first) && need.has(last);
  }

  /// The u[i] beyond the ends that the tile has the coefficients of: others
  /// are not for its rows.
  template <class Source>
  SIGNALLLM_HD void
  put_beyond(int l, const Source& a, const GlobalRows<T, V>& d) const {
    const int count = p.plan.length[l];
    const BorderTable t = table(l);
    for (int e = at.row; e < BorderTable::size(taps()); e += at.rows) {
      const int top = t.row(e) + shift();
      int first = (top - taps() + 2) / 2, last = top >= 0 ? top / 2 : -1;
      first = top - taps() + 1 > 0 ? first : 0;
      last = last < count - 1 ? last : count - 1;
      A u[V];
      clear(u);
      if (first <= last && holds(l, first, last)) {
        full(a, d, t.row(e), count, u);
      }
      SharedRow<A, V>::put(
          beyond + e * p.shape.lanes * V, p.shape.lanes, at.lane, u);
    }
  }

  template <class Source>
  SIGNALLLM_HD void fold(
      int l,
      const Source& a,
      const GlobalRows<T, V>& d,
      const Need& need,
      int row) const {
    A y[V], u[V];
    full(a, d, row, p.plan.length[l], y);
    if (folds()) {
      const BorderTable t = table(l);
#pragma unroll 1
      for (int e = 0; e < BorderTable::size(taps()); ++e) {
        const BorderRow& from = t.rows[e];
        int weight = 0;
#pragma unroll
        for (int k = 0; k < 3; ++k) {
          weight += from.row[k] == row ? from.weight[k] : 0;
        }
        if (weight != 0) {
          SharedRow<A, V>::get(
              beyond + e * p.shape.lanes * V, p.shape.lanes, at.lane, u);
          axpy(A(weight), u, y);
        }
      }
    }
    write(l, need, row, y);
  }

  SIGNALLLM_HD void write(int l, const Need& need, int row, const A (&y)[V])
      const {
    if (l > 1) {
      SharedRow<A, V>::put(
          rows[(l - 1) % 2] + need.position(row) * p.shape.lanes * V,
          p.shape.lanes,
          at.lane,
          y);
      return;
    }
    const int64_t i =
        (at.batch * p.plan.length[0] + row) * p.shape.channels + at.channel;
    if (F == 0 && p.wide_output) {
      store<A, V>(static_cast<A*>(p.output) + i, y);
    } else {
      store<T, V>(static_cast<T*>(p.output) + i, y);
    }
  }
};

} // namespace signalllm::cuda
