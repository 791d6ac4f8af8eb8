#pragma once

#include "causal_stream_block.cuh"

namespace signalllm::cuda {

/// A thread's place, its access to memory, and what its block shares: the
/// rings, and for filters the taps of hi and the weights.
template <class T, int K, CausalKind Kind>
struct CausalStreamThread {
  static constexpr int V = kCausalVector, R = kCausalRows;
  static constexpr bool kFilter = is_filter(Kind);
  static constexpr bool kReversed = is_transposed(Kind);
  static constexpr bool kCircular = is_circular(Kind);
  using Cursor = CausalCursor<kCircular>;
  using Params = CausalStreamParams;
  using Vector = float[V];
  using Rows = float[R][V];

  const Params& p;
  CausalPack* memory;
  CausalPack*
      tables; // K taps of hi, then the weights: of the steps, first, last
  int tid, lane, group, channel, segment, start;
  int64_t base;
  int stride;

  SIGNALLLM_HD CausalStreamThread(
      const Params& p,
      int block,
      int tid,
      CausalPack* memory,
      int room)
      : p(p), memory(memory), tables(memory + room), tid(tid),
        lane(tid % kCausalLanes), group(tid / kCausalLanes),
        channel((block % p.channel_tiles * kCausalLanes + lane) * V),
        segment(block / p.channel_tiles % p.segments),
        stride(kReversed ? -p.channels : p.channels) {
    start = segment * p.chunks - p.warm;
    start = start > 0 || kCircular ? start : 0;
    const int64_t batch = block / p.channel_tiles / p.segments;
    base = (batch * p.length + (kReversed ? p.length - 1 : 0)) * p.channels +
        channel;
  }

  SIGNALLLM_HD int chunks() const {
    const int all = (p.length + kCausalChunk - 1) / kCausalChunk;
    const int end = (segment + 1) * p.chunks;
    return (end < all ? end : all) - start;
  }
  /// Row of the group's first in chunk c of the segment.
  SIGNALLLM_HD int row(int c) const {
    return (start + c) * kCausalChunk + group * R;
  }
  /// Of that row in a tensor whose rows stand for earlier ones by `shift`.
  SIGNALLLM_HD Cursor place(int c, int shift = 0) const {
    int n = row(c) - shift;
    if (kCircular && (n < 0 || n >= p.length)) {
      n %= p.length;
      n += n < 0 ? p.length : 0;
    }
    return {
        base + static_cast<int64_t>(n) * stride,
        stride,
        p.length - n,
        p.length};
  }
  /// How many of the group's rows there are to read.
  SIGNALLLM_HD int valid(int c) const {
    return channel >= p.channels ? 0 : kCircular ? R : p.length - row(c);
  }
  /// How many of them are the segment's own.
  SIGNALLLM_HD int live(int c) const {
    return start + c >= segment * p.chunks && channel < p.channels
        ? p.length - row(c)
        : 0;
  }

  /// Clears the rings, fills the tables.
  SIGNALLLM_HD void clear_shared() const {
    for (int i = tid; i < p.groups * R * kCausalLanes; i += kCausalThreads) {
      memory[i] = {};
    }
    const int rows = K + (kFilter ? p.steps + 2 : 0);
    for (int i = tid; has_high(Kind) && i < rows * kCausalChannels;
         i += kCausalThreads) {
      const int j = i / kCausalChannels, c = i % kCausalChannels;
      const int at = channel - lane * V + c;
      tables[j * kCausalLanes + c / V].v[c % V] =
          at < p.channels ? table(j, at) : 0.0f;
    }
  }
  SIGNALLLM_HD float table(int j, int c) const {
    if (j < K) {
      return j < p.filters.taps ? filter(p.filters.hi, c, j) : 0.0f;
    }
    const int i = j - K;
    const int index = i < p.steps ? p.weights[i]
        : i == p.steps            ? 0
                                  : p.weight_stride - 1;
    return static_cast<const float*>(
        p.weight)[c % p.weight_channels * p.weight_stride + index];
  }
  SIGNALLLM_HD float filter(const void* from, int c, int k) const {
    const int row = p.filters.channels > 0 ? c % p.filters.channels : 0;
    const float tap = static_cast<const float*>(from)[row * p.filters.taps + k];
    return kCircular ? p.scale * tap : tap;
  }
  SIGNALLLM_HD void taps(float (&lo)[K][V]) const {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const int c = channel + v < p.channels ? channel + v : 0;
#pragma unroll
      for (int k = 0; k < K; ++k) {
        lo[k][v] = k < p.filters.taps ? filter(p.filters.lo, c, k) : 0.0f;
      }
    }
  }
  SIGNALLLM_HD void tap(int k, Vector& h) const {
    get(tables + k * kCausalLanes + lane, h);
  }
  /// Of step i; then of S_0 and of the last state.
  SIGNALLLM_HD void weight(int i, Vector& w) const {
    get(tables + (K + i) * kCausalLanes + lane, w);
  }

  static SIGNALLLM_HD void get(const CausalPack* from, Vector& x) {
    const CausalPack pack = *from;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      x[v] = pack.v[v];
    }
  }
  static SIGNALLLM_HD void put(CausalPack* to, const Vector& x) {
    CausalPack pack;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      pack.v[v] = x[v];
    }
    *to = pack;
  }
  SIGNALLLM_HD int slot(const CausalRing& ring, int c) const {
    return ring.slot(static_cast<uint32_t>(c * kCausalGroups + group));
  }
  /// The first row of a slot.
  SIGNALLLM_HD CausalPack* rows(const CausalRing& ring, int slot) const {
    return memory + (ring.first + slot) * (R * kCausalLanes) + lane;
  }
  SIGNALLLM_HD void keep(const CausalRing& ring, int c, const Rows& x) const {
    CausalPack* to = rows(ring, slot(ring, c));
#pragma unroll
    for (int r = 0; r < R; ++r) {
      put(to + r * kCausalLanes, x[r]);
    }
  }
  template <class Value>
  SIGNALLLM_HD void
  write(void* to, bool wide, Cursor at, int count, const Value& value) const {
    if (to == nullptr) {
      return;
    }
#pragma unroll
    for (int r = 0; r < R; ++r, at.next()) {
      Vector x;
#pragma unroll
      for (int v = 0; v < V; ++v) {
        x[v] = value(r, v);
      }
      if (r < count) {
        if (sizeof(T) == sizeof(float) || wide) {
          store<float, V>(static_cast<float*>(to) + at.at, x);
        } else {
          store<T, V>(static_cast<T*>(to) + at.at, x);
        }
      }
    }
  }

  /// Calls visit(k, r, S[row r - k dilation]) for the taps and the group's
  /// rows.
  template <class Visit>
  SIGNALLLM_HD void window(
      const CausalRing& ring,
      int dilation,
      int c,
      const Rows& own,
      const Visit& visit) const {
    const int at = slot(ring, c);
    if (dilation >= R) {
      far(ring, dilation / R, at, own, visit);
    } else if (dilation == 2) {
      near<2>(ring, at, own, visit);
    } else {
      near<1>(ring, at, own, visit);
    }
  }
  template <class Visit>
  SIGNALLLM_HD void far(
      const CausalRing& ring,
      int groups,
      int slot,
      const Rows& own,
      const Visit& visit) const {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      visit(0, r, own[r]);
    }
#pragma unroll
    for (int k = 1; k < K; ++k) {
      if (k < K - 1 || p.filters.taps == K) {
        slot -= groups;
        slot += slot < 0 ? ring.groups : 0;
        const CausalPack* from = rows(ring, slot);
#pragma unroll
        for (int r = 0; r < R; ++r) {
          Vector w;
          get(from + r * kCausalLanes, w);
          visit(k, r, w);
        }
      }
    }
  }
  /// A dilation D that is no multiple of a group.
  template <int D, class Visit>
  SIGNALLLM_HD void near(
      const CausalRing& ring,
      int slot,
      const Rows& own,
      const Visit& visit) const {
    const bool all = p.filters.taps == K;
#pragma unroll
    for (int i = -D * (K - 1); i < R; ++i) {
      Vector w;
      if (i < 0) {
        const int back = (R - 1 - i) / R;
        const int at =
            slot - back < 0 ? slot - back + ring.groups : slot - back;
        get(rows(ring, at) + (i + back * R) * kCausalLanes, w);
      }
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const int r = i + D * k;
        if (r >= 0 && r < R && (k < K - 1 || all)) {
          if (i < 0) {
            visit(k, r, w);
          } else {
            visit(k, r, own[i < 0 ? 0 : i]);
          }
        }
      }
    }
  }

  static SIGNALLLM_HD void
  multiply_add(const Vector& a, const Vector& b, Vector& y) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      y[v] += a[v] * b[v];
    }
  }
  /// y += w x.
  static SIGNALLLM_HD void add(const Vector& w, const Rows& x, Rows& y) {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      multiply_add(w, x[r], y[r]);
    }
  }
  /// y += s x.
  static SIGNALLLM_HD void add(float s, const Rows& x, Rows& y) {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      axpy(s, x[r], y[r]);
    }
  }
  static SIGNALLLM_HD void zero(Rows& x) {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      clear(x[r]);
    }
  }
};

} // namespace signalllm::cuda
