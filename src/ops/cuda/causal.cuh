#pragma once

// One-sided dilated banks, several levels in one launch: causal_wavedec,
// causal_wavelet_filter and their transposes, which are the same with time
// running backwards (row n stands for row length - 1 - n).
//
// Step i makes S_{i+1}[t] = sum_k lo[k] S_i[t - dilation_i k] from S_0, the
// input. A tile owns `tile` rows and computes halo_{i+1} rows of S_{i+1}
// before them as well; S_0 is read from global memory, later states from
// shared memory. A thread makes R rows that lie one dilation apart, so that
// its window of R rows moves by one row a tap: R + taps - 1 loads serve
// R * taps products. What is before the start is zero.

#include "tile_block.cuh"

namespace signalllm::cuda {

enum class CausalKind {
  analysis,
  analysis_transposed,
  filter,
  filter_transposed
};

constexpr int kMaxSteps = 12;

struct CausalParams {
  Shape shape;
  Filters filters;
  CausalKind kind = CausalKind::analysis;
  int length = 1, tile = 1, tiles = 1, steps = 0;
  int dilation[kMaxSteps] = {};
  int halo[kMaxSteps + 1] = {};
  int rows[2] = {}; // most rows of an even and of an odd inner state
  const void* input = nullptr;
  bool wide_input = false;
  /// analysis: written S_i - S_{i+1}; transposed: read, the gradient of it.
  void* details[kMaxSteps] = {};
  /// S_steps (of a filter: where more steps follow).
  void* state = nullptr;
  bool wide_state = false;
  /// filters: weights [weight_channels, weight_stride], the index of each step.
  const void* weight = nullptr;
  int weight_channels = 1, weight_stride = 0;
  int weights[kMaxSteps] = {};
  /// The filter's input (transposed: gradient), its sum so far, its result.
  const void* signal = nullptr;
  const void* partial = nullptr;
  void* output = nullptr;
  bool wide_output = false;
  bool first = false, last = false; // this launch has the first, last step
};

template <class T, int V, bool PerChannel>
struct CausalTile {
  using A = Acc<T>;
  using Taps = SharedFilters<A, V, PerChannel>;
  static constexpr int R = 4;

  const CausalParams& p;
  Position<V> at;
  A* taps_memory;
  A* states[2];
  A* sums;

  SIGNALLLM_HD
  CausalTile(const CausalParams& p, int64_t block, int tid, void* shared)
      : p(p), at(p.shape, p.tiles, block, tid) {
    taps_memory = static_cast<A*>(shared);
    const int width = p.shape.lanes * V;
    states[0] = taps_memory + (Taps::size(p.shape, p.filters.taps) + 3) / 4 * 4;
    states[1] = states[0] + p.rows[0] * width;
    sums = states[1] + p.rows[1] * width;
  }

  static int64_t shared_bytes(const CausalParams& p) {
    const int64_t rows =
        p.rows[0] + p.rows[1] + (p.kind == CausalKind::filter ? p.tile : 0);
    return ((Taps::size(p.shape, p.filters.taps) + 3) / 4 * 4 +
            rows * p.shape.lanes * V) *
        sizeof(A);
  }

  SIGNALLLM_HD void prepare(int tid) const {
    Taps::fill(taps_memory, p.filters, p.shape, at.channel - at.lane * V, tid);
  }

  /// Step i; a barrier belongs before each.
  SIGNALLLM_HD void step(int i) const {
    if (!at.active) {
      return;
    }
    const int end = own_end(), begin = first_row(i + 1);
    const int span = p.dilation[i], count = end - begin;
    const int lanes = span < count ? span : count;
    if (count <= 0) {
      return;
    }
    const int64_t stretch = static_cast<int64_t>(R) * span;
    const int groups =
        static_cast<int>((count + stretch - 1) / stretch) * lanes;
    for (int g = at.row; g < groups; g += at.rows) {
      const int64_t row = begin + g / lanes * stretch + g % lanes;
      if (row < end) {
        group(i, static_cast<int>(row), end);
      }
    }
  }

 private:
  SIGNALLLM_HD int own_end() const {
    const int64_t end = static_cast<int64_t>(at.tile + 1) * p.tile;
    return end < p.length ? static_cast<int>(end) : p.length;
  }
  SIGNALLLM_HD int first_row(int state) const {
    const int64_t row = static_cast<int64_t>(at.tile) * p.tile - p.halo[state];
    return row > 0 ? static_cast<int>(row) : 0;
  }
  SIGNALLLM_HD bool reversed() const {
    return p.kind == CausalKind::analysis_transposed ||
        p.kind == CausalKind::filter_transposed;
  }
  SIGNALLLM_HD int64_t index(int row) const {
    const int64_t n = reversed() ? p.length - 1 - row : row;
    return (at.batch * p.length + n) * p.shape.channels + at.channel;
  }
  SIGNALLLM_HD void get(const void* from, bool wide, int row, A (&x)[V]) const {
    if (wide) {
      load<A, V>(static_cast<const A*>(from) + index(row), x);
    } else {
      load<T, V>(static_cast<const T*>(from) + index(row), x);
    }
  }
  SIGNALLLM_HD void put(void* to, bool wide, int row, const A (&x)[V]) const {
    if (wide) {
      store<A, V>(static_cast<A*>(to) + index(row), x);
    } else {
      store<T, V>(static_cast<T*>(to) + index(row), x);
    }
  }
  SIGNALLLM_HD void weight(int j, A (&w)[V]) const {
    const A* from = static_cast<const A*>(p.weight);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int c =
          p.weight_channels == 1 ? 0 : (at.channel + v) % p.weight_channels;
      w[v] = from[static_cast<int64_t>(c) * p.weight_stride + j];
    }
  }
  static SIGNALLLM_HD void
  multiply_add(const A (&w)[V], const A (&x)[V], A (&y)[V]) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      y[v] += w[v] * x[v];
    }
  }

  /// S_i at a row.
  SIGNALLLM_HD void state(int i, int row, A (&x)[V]) const {
    if (row < 0) {
      clear(x);
    } else if (i > 0) {
      SharedRow<A, V>::get(
          states[i % 2] + (row - first_row(i)) * p.shape.lanes * V,
          p.shape.lanes,
          at.lane,
          x);
    } else {
      get(p.input, p.wide_input, row, x);
      if (p.kind == CausalKind::analysis_transposed) {
        A d[V];
        get(p.details[0], false, row, d);
        axpy(A(-1), d, x);
      } else if (p.kind == CausalKind::filter_transposed && p.first) {
        A w[V];
        weight(p.weight_stride - 1, w);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          x[v] *= w[v];
        }
      }
    }
  }

  /// y[r] = sum_k f[k] source(row + r dilation - k dilation); `band` 0 is lo,
  /// 1 is hi.
  template <class Source>
  SIGNALLLM_HD void run(
      int i,
      int row,
      int end,
      int band,
      const Source& source,
      A (&y)[R][V]) const {
    const Taps f{taps_memory, p.shape.lanes, at.lane};
    const int64_t span = p.dilation[i];
    A w[R][V];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      clear(y[r]);
      const int64_t n = row + r * span;
      source(static_cast<int>(n < end ? n : end - 1), w[r]);
    }
#pragma unroll 4
    for (int k = 0; k < p.filters.taps; ++k) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
        f.one(2 * k + band, w[r], y[r]);
      }
#pragma unroll
      for (int r = R - 1; r > 0; --r) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          w[r][v] = w[r - 1][v];
        }
      }
      const int64_t n = row - (k + 1) * span;
      if (k + 1 < p.filters.taps) {
        source(static_cast<int>(n < 0 ? -1 : n), w[0]);
      }
    }
  }

  SIGNALLLM_HD void group(int i, int row, int end) const {
    const auto source = [&](int n, A(&x)[V]) { state(i, n, x); };
    A lo[R][V], hi[R][V];
    run(i, row, end, 0, source, lo);
    if (p.kind == CausalKind::filter) {
      run(i, row, end, 1, source, hi);
    } else if (p.kind == CausalKind::filter_transposed) {
      run(
          i,
          row,
          end,
          1,
          [&](int n, A(&x)[V]) {
            if (n < 0) {
              clear(x);
            } else {
              get(p.signal, false, n, x);
            }
          },
          hi);
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t n = row + static_cast<int64_t>(r) * p.dilation[i];
      if (n < end) {
        finish(i, static_cast<int>(n), lo[r], hi[r]);
      }
    }
  }

  /// Completes S_{i+1} at a row from its filtered values and puts everything
  /// where it belongs.
  SIGNALLLM_HD void finish(int i, int row, A (&lo)[V], const A (&hi)[V]) const {
    const bool top = i + 1 == p.steps;
    const int begin = at.tile * p.tile; // fits: it is below length
    const bool own = row >= begin;
    A x[V], w[V];
    switch (p.kind) {
      case CausalKind::analysis:
        if (own) {
          state(i, row, x);
          axpy(A(-1), lo, x);
          put(p.details[i], false, row, x);
        }
        break;
      case CausalKind::analysis_transposed:
        get(p.details[i], false, row, x);
        axpy(A(1), x, lo);
        if (!top) {
          get(p.details[i + 1], false, row, x);
          axpy(A(-1), x, lo);
        }
        break;
      case CausalKind::filter:
        if (own) {
          sum(i, row, begin, lo, hi);
        }
        break;
      case CausalKind::filter_transposed:
        weight(p.weights[i], w);
        multiply_add(w, hi, lo);
        if (top && p.last) {
          weight(0, w);
          get(p.signal, false, row, x);
          multiply_add(w, x, lo);
        }
        break;
    }
    if (!top) {
      SharedRow<A, V>::put(
          states[(i + 1) % 2] + (row - first_row(i + 1)) * p.shape.lanes * V,
          p.shape.lanes,
          at.lane,
          lo);
    } else if (p.state != nullptr) {
      put(p.state, p.wide_state, row, lo);
    }
  }

  SIGNALLLM_HD void
  sum(int i, int row, int begin, const A (&lo)[V], const A (&hi)[V]) const {
    A y[V], x[V], w[V];
    A* at_row = sums + (row - begin) * p.shape.lanes * V;
    if (i > 0) {
      SharedRow<A, V>::get(at_row, p.shape.lanes, at.lane, y);
    } else if (p.first) {
      clear(y);
      weight(0, w);
      get(p.signal, false, row, x);
      multiply_add(w, x, y);
    } else {
      get(p.partial, true, row, y);
    }
    weight(p.weights[i], w);
    multiply_add(w, hi, y);
    if (i + 1 < p.steps) {
      SharedRow<A, V>::put(at_row, p.shape.lanes, at.lane, y);
      return;
    }
    if (p.last) {
      weight(p.weight_stride - 1, w);
      multiply_add(w, lo, y);
    }
    put(p.output, p.wide_output, row, y);
  }
};

} // namespace signalllm::cuda
