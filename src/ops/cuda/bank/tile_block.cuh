#pragma once

// A block works on one tile of one batch entry, on `lanes * V` neighbouring
// channels. Thread `tid` is lane `tid % lanes` (V channels, one 16-byte
// access) of thread row `tid / lanes`; lanes is a power of two, smaller where
// there are few channels. Blocks run through channels first, then tiles, then
// batch entries, so that blocks in flight read neighbouring memory.

#include "tile_plan.h"

namespace signalllm::cuda {

struct Shape {
  int64_t batch = 1;
  int channels = 1; // values behind one row of the sequence
  int lanes = 1;
  int threads = 256;
  int channel_tiles = 1;
};

/// Filters of a bank, in the accumulate type: `[taps]` or `[channels, taps]`
/// where the inner axes repeat the `filter_channels` filters.
struct Filters {
  const void* lo = nullptr;
  const void* hi = nullptr;
  int taps = 2;
  int channels = 0; // 0: one filter for all
  bool reversed = false;
};

template <int V>
struct Position {
  int64_t batch;
  int tile, channel, lane, row, rows;
  bool active;

  SIGNALLLM_HD Position(const Shape& s, int tiles, int64_t block, int tid) {
    const int ct = static_cast<int>(block % s.channel_tiles);
    block /= s.channel_tiles;
    tile = static_cast<int>(block % tiles);
    batch = block / tiles;
    lane = tid & (s.lanes - 1);
    row = tid / s.lanes;
    rows = s.threads / s.lanes;
    channel = (ct * s.lanes + lane) * V;
    active = channel < s.channels;
  }
};

/// The filters in shared memory: pairs (lo, hi) a tap, or a row of lanes for
/// lo and one for hi a tap.
template <class A, int V, bool PerChannel>
struct SharedFilters {
  const A* data;
  int lanes, lane;

  static SIGNALLLM_HD int size(const Shape& s, int taps) {
    return 2 * taps * (PerChannel ? s.lanes * V : 1);
  }

  static SIGNALLLM_HD void
  fill(A* data, const Filters& f, const Shape& s, int first_channel, int tid) {
    const A* lo = static_cast<const A*>(f.lo);
    const A* hi = static_cast<const A*>(f.hi);
    const int width = PerChannel ? s.lanes * V : 1;
    for (int i = tid; i < f.taps * width; i += s.threads) {
      const int j = i / width, c = i % width;
      const int tap = f.reversed ? f.taps - 1 - j : j;
      if constexpr (PerChannel) {
        using Row = SharedRow<A, V>;
        // Channel c of the block is value v of lane t.
        const int t = c / V, v = c % V;
        const int at =
            (v / Row::chunk * s.lanes + t) * Row::chunk + v % Row::chunk;
        const int channel = first_channel + c;
        const int64_t from =
            static_cast<int64_t>(channel % f.channels) * f.taps + tap;
        const bool in = channel < s.channels;
        data[2 * j * width + at] = in ? lo[from] : A(0);
        data[(2 * j + 1) * width + at] = in ? hi[from] : A(0);
      } else {
        data[2 * j] = lo[tap];
        data[2 * j + 1] = hi[tap];
      }
    }
  }

  /// a += lo[j] x, d += hi[j] x.
  SIGNALLLM_HD void both(int j, const A (&x)[V], A (&a)[V], A (&d)[V]) const {
    one(2 * j, x, a);
    one(2 * j + 1, x, d);
  }
  /// even += f[2j] x, odd += f[2j + 1] x; f is lo (which = 0) or hi (1).
  SIGNALLLM_HD void
  phases(int which, int j, const A (&x)[V], A (&even)[V], A (&odd)[V]) const {
    one(4 * j + which, x, even);
    one(4 * j + 2 + which, x, odd);
  }
  SIGNALLLM_HD void one(int index, const A (&x)[V], A (&y)[V]) const {
    if constexpr (PerChannel) {
      A f[V];
      SharedRow<A, V>::get(data + index * lanes * V, lanes, lane, f);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        y[v] += f[v] * x[v];
      }
    } else {
      axpy(data[index], x, y);
    }
  }
};

/// Rows of a level: global memory, or the tile's rows in shared memory.
template <class T, int V>
struct GlobalRows {
  const T* base; // of the batch entry, at the lane's channel
  int64_t stride;

  SIGNALLLM_HD void get(int row, Acc<T> (&x)[V]) const {
    load<T, V>(base + row * stride, x);
  }
};

template <class A, int V>
struct TileRows {
  const A* data;
  int lanes, lane;
  Need need;

  SIGNALLLM_HD void get(int row, A (&x)[V]) const {
    SharedRow<A, V>::get(data + need.position(row) * lanes * V, lanes, lane, x);
  }
};

template <class A, int V>
struct RunRows;

/// The same for rows that are known to lie in one of the two runs.
template <class A, int V>
struct RunRows {
  const A* data; // of row `begin`
  int lanes, lane, begin;

  SIGNALLLM_HD void get(int row, A (&x)[V]) const {
    SharedRow<A, V>::get(data + (row - begin) * lanes * V, lanes, lane, x);
  }
};

/// Where the border rule takes the rows next to both ends of a level from:
/// entries for rows -taps..-1, then n..n + taps. In shared memory, filled by
/// the tiles at the ends, so that the walk along the taps only looks it up.
struct BorderTable {
  const BorderRow* rows;
  int taps, n;

  static SIGNALLLM_HD int size(int taps) {
    return 2 * taps + 1;
  }
  /// The row of entry e.
  SIGNALLLM_HD int row(int e) const {
    return e < taps ? e - taps : n + e - taps;
  }
  SIGNALLLM_HD const BorderRow& operator[](int row) const {
    return rows[row < 0 ? row + taps : row - n + taps];
  }

  static SIGNALLLM_HD void fill(
      BorderRow* tables,
      const Bank& bank,
      const TilePlan& plan,
      int tid,
      int threads) {
    const int entries = size(bank.taps);
    for (int i = tid; i < plan.levels * entries; i += threads) {
      const int n = plan.length[i / entries];
      const BorderTable table{nullptr, bank.taps, n};
      tables[i] = border_row(bank.border, table.row(i % entries), n);
    }
  }
};

/// Rows of the extended signal.
template <class Source, class A, int V>
struct ExtendedRows {
  const Source& source;
  BorderTable table;
  bool several; // the rule has more than one term

  SIGNALLLM_HD void get(int row, A (&x)[V]) const {
    const bool in = row >= 0 && row < table.n;
    const BorderRow& e = in ? table.rows[0] : table[row];
    const int weight = in ? 1 : e.weight[0];
    clear(x);
    if (weight != 0) {
      source.get(in ? row : e.row[0], x);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        x[v] *= weight;
      }
    }
    if (several && !in) {
#pragma unroll 1
      for (int k = 1; k < 3; ++k) {
        if (e.weight[k] != 0) {
          A y[V];
          source.get(e.row[k], y);
          axpy(A(e.weight[k]), y, x);
        }
      }
    }
  }
};

/// Shared memory of a block: filters, border tables, then rows. In values of
/// A, each part rounded up to 16 bytes.
template <class A>
SIGNALLLM_HD int rounded(int64_t bytes) {
  return static_cast<int>((bytes + 15) / 16 * 16 / sizeof(A));
}

} // namespace signalllm::cuda
