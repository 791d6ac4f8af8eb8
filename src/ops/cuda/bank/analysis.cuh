#pragma once

// Multilevel analysis, all levels in one launch.
//
// a_0 is the input; level l computes, for its tile's rows o,
//   a_l[o] = sum_j lo[j] ext(a_{l-1})[2 o + offset - j], d_l[o] with hi.
// A thread makes R neighbouring o of V channels at a time: it walks the taps,
// once over the even and once over the odd ones, along a window of R rows that
// moves by one row a step, so that R + F/2 - 1 loads serve R * F products in
// each half. Level 1 reads global memory, deeper levels the tile's shared
// rows of the level before; d_l goes to global memory at once, a_l to shared
// memory until the last level. A tile owns consecutive coarsest rows and the
// rows below them, and computes the few more that its own need (TilePlan).

#include "tile_block.cuh"

namespace signalllm::cuda {

struct AnalysisParams {
  Shape shape;
  Filters filters;
  Bank bank;
  TilePlan plan;
  const void* input = nullptr;
  void* details[kMaxLevels + 1] = {};
  void* approximation = nullptr;
  int approximation_rows = 0; // rows beyond the last are zero
  bool wide_input = false; // the input is in the accumulate type
  bool wide_approximation = false;
};

template <class T, int V, int R, int F, bool PerChannel>
struct AnalysisTile {
  using A = Acc<T>;
  using Taps = SharedFilters<A, V, PerChannel>;

  const AnalysisParams& p;
  Position<V> at;
  A* taps_memory;
  BorderRow* tables;
  A* rows[2];

  SIGNALLLM_HD
  AnalysisTile(const AnalysisParams& p, int64_t block, int tid, void* shared)
      : p(p), at(p.shape, p.plan.tiles, block, tid) {
    taps_memory = static_cast<A*>(shared);
    const int width = p.shape.lanes * V;
    A* next = taps_memory + filter_size(p);
    tables = reinterpret_cast<BorderRow*>(next);
    rows[0] = next + table_size(p);
    rows[1] = rows[0] + p.plan.rows[0] * width;
  }

  static int64_t shared_bytes(const AnalysisParams& p) {
    return (filter_size(p) + table_size(p) +
            static_cast<int64_t>(p.plan.rows[0] + p.plan.rows[1]) *
                p.shape.lanes * V) *
        sizeof(A);
  }

  SIGNALLLM_HD void prepare(int tid) const {
    Taps::fill(taps_memory, p.filters, p.shape, at.channel - at.lane * V, tid);
    if (at.tile == 0 || at.tile >= p.plan.tiles - 2) {
      BorderTable::fill(tables, p.bank, p.plan, tid, p.shape.threads);
    }
  }

  /// One level of the tile; a barrier belongs between two of them.
  SIGNALLLM_HD void level(int l) const {
    if (!at.active) {
      return;
    }
    const int64_t offset =
        at.batch * p.plan.length[l - 1] * p.shape.channels + at.channel;
    if (l > 1) {
      const Need from = p.plan.need(at.tile, l - 1);
      level(l, TileRows<A, V>{rows[(l - 1) % 2], p.shape.lanes, at.lane, from});
    } else if (F == 0 && p.wide_input) {
      level(
          l,
          GlobalRows<A, V>{
              static_cast<const A*>(p.input) + offset, p.shape.channels});
    } else {
      level(
          l,
          GlobalRows<T, V>{
              static_cast<const T*>(p.input) + offset, p.shape.channels});
    }
  }

 private:
  static SIGNALLLM_HD int filter_size(const AnalysisParams& p) {
    return rounded<A>(Taps::size(p.shape, p.bank.taps) * sizeof(A));
  }
  static SIGNALLLM_HD int table_size(const AnalysisParams& p) {
    return rounded<A>(
        p.plan.levels * BorderTable::size(p.bank.taps) * sizeof(BorderRow));
  }

  template <class Source>
  SIGNALLLM_HD void level(int l, const Source& source) const {
    const Need need = p.plan.need(at.tile, l);
    const int first = (need.main.size() + R - 1) / R;
    const int groups = first + (need.extra.size() + R - 1) / R;
    for (int g = at.row; g < groups; g += at.rows) {
      const bool main = g < first;
      const int o =
          main ? need.main.begin + g * R : need.extra.begin + (g - first) * R;
      const int end = main ? need.main.end : need.extra.end;
      const int count = end - o < R ? end - o : R;
      A a[R][V], d[R][V];
#pragma unroll
      for (int r = 0; r < R; ++r) {
        clear(a[r]);
        clear(d[r]);
      }
      group(l, source, o, count, a, d);
      write(l, need, o, count, a, d);
    }
  }

  template <class Source>
  SIGNALLLM_HD void group(
      int l,
      const Source& source,
      int o,
      int count,
      A (&a)[R][V],
      A (&d)[R][V]) const {
    const int taps = F ? F : p.bank.taps;
    const int n = p.plan.length[l - 1];
    const int top = 2 * o + p.bank.offset;
    const int low = top - taps + 1, high = top + 2 * (count - 1);
    if (low >= 0 && high < n) {
      run(source, low, high, top, taps, a, d);
    } else {
      const Border rule = p.bank.border;
      filter(
          ExtendedRows<Source, A, V>{
              source,
              {tables + (l - 1) * BorderTable::size(taps), taps, n},
              rule == Border::smooth || rule == Border::antireflect},
          high,
          top,
          taps,
          a,
          d);
    }
  }

  SIGNALLLM_HD void run(
      const TileRows<A, V>& source,
      int low,
      int high,
      int top,
      int taps,
      A (&a)[R][V],
      A (&d)[R][V]) const {
    const auto& need = source.need;
    const bool main = low >= need.main.begin && high < need.main.end;
    filter(
        RunRows<A, V>{
            source.data + (main ? 0 : need.main.size() * p.shape.lanes * V),
            p.shape.lanes,
            at.lane,
            main ? need.main.begin : need.extra.begin},
        high,
        top,
        taps,
        a,
        d);
  }
  template <class U>
  SIGNALLLM_HD void run(
      const GlobalRows<U, V>& source,
      int,
      int high,
      int top,
      int taps,
      A (&a)[R][V],
      A (&d)[R][V]) const {
    filter(source, high, top, taps, a, d);
  }

  /// Rows above `high` serve outputs that nobody wants.
  template <class Source>
  SIGNALLLM_HD void filter(
      const Source& source,
      int high,
      int top,
      int taps,
      A (&a)[R][V],
      A (&d)[R][V]) const {
    const Taps f{taps_memory, p.shape.lanes, at.lane};
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      A w[R][V];
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int row = top + 2 * r - odd;
        source.get(row < high ? row : high, w[r]);
      }
      const auto step = [&](int j) {
#pragma unroll
        for (int r = 0; r < R; ++r) {
          f.both(j, w[r], a[r], d[r]);
        }
        if (j + 2 < taps) {
#pragma unroll
          for (int r = R - 1; r > 0; --r) {
#pragma unroll
            for (int v = 0; v < V; ++v) {
              w[r][v] = w[r - 1][v];
            }
          }
          source.get(top - j - 2, w[0]);
        }
      };
      if constexpr (F > 0) {
#pragma unroll
        for (int j = 0; j < F / 2; ++j) {
          step(2 * j + odd);
        }
      } else {
#pragma unroll 2
        for (int j = odd; j < taps; j += 2) {
          step(j);
        }
      }
    }
  }

  SIGNALLLM_HD void write(
      int l,
      const Need& need,
      int o,
      int count,
      const A (&a)[R][V],
      const A (&d)[R][V]) const {
    const Rows own = p.plan.own(at.tile, l);
    const int64_t channels = p.shape.channels;
    T* out = static_cast<T*>(p.details[l]) +
        at.batch * p.plan.length[l] * channels + at.channel;
    const bool last = l == p.plan.levels;
    A* shared = rows[l % 2] + need.position(o) * p.shape.lanes * V;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      if (r >= count) {
        break;
      }
      if (o + r >= own.begin && o + r < own.end) {
        store<T, V>(out + (o + r) * channels, d[r]);
      }
      if (!last) {
        SharedRow<A, V>::put(
            shared + r * p.shape.lanes * V, p.shape.lanes, at.lane, a[r]);
      } else {
        write_approximation(o + r, a[r]);
      }
    }
    if (last && o + count == p.plan.length[l] &&
        p.approximation_rows > p.plan.length[l]) {
      A zero[V];
      clear(zero);
      write_approximation(o + count, zero);
    }
  }

  SIGNALLLM_HD void write_approximation(int row, const A (&x)[V]) const {
    const int64_t index =
        (at.batch * p.approximation_rows + row) * p.shape.channels + at.channel;
    if (F == 0 && p.wide_approximation) {
      store<A, V>(static_cast<A*>(p.approximation) + index, x);
    } else {
      store<T, V>(static_cast<T*>(p.approximation) + index, x);
    }
  }
};

} // namespace signalllm::cuda
