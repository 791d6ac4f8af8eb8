#pragma once

// One step of a dilated bank from memory to memory, for any number of taps,
// channels and any dilation: what the stream (causal_stream.cuh) does not take.
// Step i makes S_{i+1}[t] = sum_k lo[k] S_i[t + ahead - dilation k]; what is
// before the start is zero, or the other end (circular). A block makes `tile`
// rows of its channels, a thread one row after the other.

#include "causal_kind.h"
#include "ops/cuda/bank/tile_block.cuh"

namespace signalllm::cuda {

struct CausalStep {
  Shape shape;
  Filters filters;
  CausalKind kind = CausalKind::analysis;
  int length = 1, tile = 1, tiles = 1;
  int dilation = 1, ahead = 0; // circular: modulo length
  const void* input = nullptr;
  bool wide_input = false;
  double scale = 1; // circular: of the taps
  /// analysis: written S_i - S_{i+1}; transposed: read, the gradient of it.
  /// swt: written, iswt: read, the high band.
  void* detail = nullptr;
  /// S_{i+1}; of a filter where more steps follow.
  void* state = nullptr;
  bool wide_state = false;
  /// filters: weights [weight_channels, weight_stride], the step's index.
  const void* weight = nullptr;
  int weight_channels = 1, weight_stride = 0, weight_index = 0;
  /// The filter's input (transposed: gradient), its sum so far, its result.
  const void* signal = nullptr;
  const void* partial = nullptr;
  void* output = nullptr;
  bool wide_output = false;
  bool first = false, last = false;
};

template <class T, int V, bool PerChannel>
struct CausalStepTile {
  using A = Acc<T>;
  using Taps = SharedFilters<A, V, PerChannel>;

  const CausalStep& p;
  Position<V> at;
  A* taps_memory;

  SIGNALLLM_HD
  CausalStepTile(const CausalStep& p, int64_t block, int tid, void* shared)
      : p(p), at(p.shape, p.tiles, block, tid),
        taps_memory(static_cast<A*>(shared)) {}

  static int64_t shared_bytes(const CausalStep& p) {
    return Taps::size(p.shape, p.filters.taps) * sizeof(A);
  }

  SIGNALLLM_HD void prepare(int tid) const {
    Taps::fill(taps_memory, p.filters, p.shape, at.channel - at.lane * V, tid);
  }

  /// All rows; a barrier belongs before.
  SIGNALLLM_HD void run() const {
    if (!at.active) {
      return;
    }
    const int64_t end = static_cast<int64_t>(at.tile + 1) * p.tile;
    const int last = end < p.length ? static_cast<int>(end) : p.length;
    for (int row = at.tile * p.tile + at.row; row < last; row += at.rows) {
      make(row);
    }
  }

 private:
  SIGNALLLM_HD int64_t index(int row) const {
    const int64_t n = is_transposed(p.kind) ? p.length - 1 - row : row;
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
  /// y += weight[j] x.
  SIGNALLLM_HD void weigh(int j, const A (&x)[V], A (&y)[V]) const {
    const A* from = static_cast<const A*>(p.weight);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int c =
          p.weight_channels == 1 ? 0 : (at.channel + v) % p.weight_channels;
      y[v] += from[static_cast<int64_t>(c) * p.weight_stride + j] * x[v];
    }
  }

  /// S_i at a row.
  SIGNALLLM_HD void state(int row, A (&x)[V]) const {
    get(p.input, p.wide_input, row, x);
    if (p.kind == CausalKind::analysis_transposed) {
      A d[V];
      get(p.detail, false, row, d);
      axpy(A(-1), d, x);
    } else if (p.kind == CausalKind::filter_transposed && p.first) {
      A s[V];
      clear(s);
      weigh(p.weight_stride - 1, x, s);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        x[v] = s[v];
      }
    }
  }

  SIGNALLLM_HD void make(int row) const {
    const Taps f{taps_memory, p.shape.lanes, at.lane};
    A lo[V], hi[V];
    clear(lo);
    clear(hi);
    const bool circular = is_circular(p.kind);
    int64_t n = static_cast<int64_t>(row) + p.ahead;
    n -= n >= p.length ? p.length : 0;
    for (int k = 0; k < p.filters.taps; ++k, n -= p.dilation) {
      if (n < 0) {
        if (!circular) {
          break;
        }
        n += p.length;
      }
      A x[V];
      state(static_cast<int>(n), x);
      f.one(2 * k, x, lo);
      if (p.kind == CausalKind::filter_transposed) {
        get(p.signal, false, static_cast<int>(n), x);
      } else if (p.kind == CausalKind::iswt) {
        get(p.detail, false, static_cast<int>(n), x);
      }
      if (has_high(p.kind)) {
        f.one(2 * k + 1, x, hi);
      }
    }
    if (circular) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        lo[v] *= A(p.scale);
        hi[v] *= A(p.scale);
      }
    }
    A x[V];
    switch (p.kind) {
      case CausalKind::analysis:
        if (p.detail != nullptr) {
          state(row, x);
          axpy(A(-1), lo, x);
          put(p.detail, false, row, x);
        }
        break;
      case CausalKind::analysis_transposed:
        // The next step's S, whose own details come off it there.
        get(p.detail, false, row, x);
        axpy(A(1), x, lo);
        break;
      case CausalKind::swt:
        if (p.detail != nullptr) {
          put(p.detail, false, row, hi);
        }
        break;
      case CausalKind::iswt:
        axpy(A(1), hi, lo);
        break;
      case CausalKind::filter:
        sum(row, lo, hi);
        break;
      case CausalKind::filter_transposed:
        weigh(p.weight_index, hi, lo);
        if (p.last) {
          get(p.signal, false, row, x);
          weigh(0, x, lo);
        }
        break;
    }
    if (p.state != nullptr) {
      put(p.state, p.wide_state, row, lo);
    }
  }

  SIGNALLLM_HD void sum(int row, const A (&lo)[V], const A (&hi)[V]) const {
    A y[V];
    clear(y);
    if (p.first) {
      A x[V];
      get(p.signal, false, row, x);
      weigh(0, x, y);
    } else {
      get(p.partial, true, row, y);
    }
    weigh(p.weight_index, hi, y);
    if (p.last) {
      weigh(p.weight_stride - 1, lo, y);
    }
    put(p.output, p.wide_output, row, y);
  }
};

} // namespace signalllm::cuda
