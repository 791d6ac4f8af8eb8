#pragma once

// Multilevel synthesis of small signals: waverec and the transpose of the
// analysis, for the filters and border rules of short_analysis.cuh.
//
//   u[i] = sum_o lo[i + s - 2 o] a_l[o] + hi[i + s - 2 o] d_l[o], s = F - 2,
// a_{l-1}[n] = u[n] and, near the ends, the u[i] beyond them that the border
// rule gives to row n. Level l has two buffers, of a_l and of d_l, over the
// rows [begin(l), end(l)) that the block's outputs need, zeros beyond the ends:
// load() fills those that are given, level(l) makes level l - 1, and where it
// has ends puts the u[i] beyond them and the F rows next to them aside; fold(l)
// adds these up. A barrier belongs before each. Tiles are so long that only the
// first and the last one have ends.

#include "short_block.cuh"

namespace signalllm::cuda {

struct ShortSynthesisParams : ShortShape {
  const void* approximation = nullptr;
  int approximation_rows = 0; // stored, of which the first length[levels] count
  const void* details[kShortLevels + 1] = {};
  void* output = nullptr;
  int even_room = 0;
  int detail_room[kShortLevels + 1] = {};
  int aside = 0; // at each end F rows beyond it and F rows next to it
};

template <class T, int F>
struct ShortSynthesis {
  static constexpr int V = kShortVector;
  static constexpr int kHalf = F / 2 - 1;
  using Params = ShortSynthesisParams;

  const Params& p;
  ShortPlace at;
  ShortShared shared;
  int channel;

  SIGNALLLM_HD ShortSynthesis(
      const Params& p,
      const ShortPlace& at,
      int channel_tile,
      float* memory)
      : p(p), at(at), shared{memory},
        channel((channel_tile * kShortLanes + at.lane()) * V) {}

  SIGNALLLM_HD void load() const {
    shared.load(p.filters, F, at.tid);
    if (channel >= p.channels) {
      return;
    }
    // The approximation comes last, as if it were one more level.
#pragma unroll 1
    for (int i = 1; i <= p.levels + 1; ++i) {
      const bool given = i <= p.levels;
      const int l = given ? i : p.levels, n = p.length[l];
      const T* from = given ? static_cast<const T*>(p.details[l]) + offset(n)
                            : static_cast<const T*>(p.approximation) +
              offset(p.approximation_rows);
      const auto to = given ? detail(l, 0) : row(l, 0);
#pragma unroll 2
      for (int o = begin(l) + at.row(); o < end(l); o += kShortRows) {
        ShortSum x;
        clear(x);
        if (o >= 0 && o < n) {
          signalllm::cuda::load<T, V>(
              from + static_cast<int64_t>(o) * p.channels, x);
        }
        (to + o).put(x);
      }
    }
  }

  SIGNALLLM_HD void level(int l) const {
    if (channel >= p.channels) {
      return;
    }
    float lo[F], hi[F];
#pragma unroll
    for (int j = 0; j < F; ++j) {
      lo[j] = shared.filters[j];
      hi[j] = shared.filters[F + j];
    }
    const int n = p.length[l - 1];
    const int from = head() ? 2 - F : at.tile * p.tile >> (l - 1);
    const int to = tail() ? n + F - 1
        : l == 1          ? last() ? n : (at.tile + 1) * p.tile
                          : end(l - 1);
#pragma unroll 1
    for (int m = (from >> 1) + at.row(); 2 * m < to; m += kShortRows) {
      ShortSum y[2];
      clear(y[0]);
      clear(y[1]);
      const auto a = row(l, m), d = detail(l, m);
#pragma unroll
      for (int j = 0; j < F / 2; ++j) {
        ShortSum x, z;
        (a + (kHalf - j)).get(x);
        (d + (kHalf - j)).get(z);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          axpy(lo[2 * j + r], x, y[r]);
          axpy(hi[2 * j + r], z, y[r]);
        }
      }
      for (int r = 0; r < 2; ++r) {
        const int i = 2 * m + r;
        if (i < to) {
          const bool inside = i >= 0 && i < n;
          if ((head() && i < F) || (tail() && i >= n - F)) {
            beside(i, n).put(y[r]);
          } else {
            put(l - 1, i, y[r]);
          }
          if (!inside && l > 1 && i >= begin(l - 1) && i < end(l - 1)) {
            clear(y[r]);
            row(l - 1, i).put(y[r]);
          }
        }
      }
    }
  }

  /// Whether rows are put aside; the same for a whole block.
  SIGNALLLM_HD bool has_ends() const {
    return head() || tail();
  }
  SIGNALLLM_HD void fold(int l) const {
    if (channel >= p.channels) {
      return;
    }
    const int n = p.length[l - 1];
#pragma unroll 1
    for (int c = at.row(); c < 2 * F; c += kShortRows) {
      const bool front = c < F;
      if (front ? !head() : !tail()) {
        continue;
      }
      const int r = front ? c : c - F; // as EndRule counts
      const int origin = front ? 0 : n - 1, step = front ? 1 : -1;
      ShortSum y;
      beside(origin + step * r, n).get(y);
#pragma unroll 1
      for (int i = -1; i > (front ? 1 - F : -F); --i) {
        const float weight = (p.rule.row(i) == r ? p.rule.weight(i) : 0.0f) +
            (p.rule.edge == r ? p.rule.edge_weight(i) : 0.0f);
        ShortSum u;
        beside(origin + step * i, n).get(u);
        axpy(weight, u, y);
      }
      put(l - 1, origin + step * r, y);
    }
  }

 private:
  SIGNALLLM_HD bool last() const {
    return at.tile + 1 == p.tiles;
  }
  SIGNALLLM_HD bool head() const {
    return p.folds && at.tile == 0;
  }
  SIGNALLLM_HD bool tail() const {
    return p.folds && last();
  }
  SIGNALLLM_HD int begin(int l) const {
    return head() ? -kHalf : at.tile * p.tile >> l;
  }
  SIGNALLLM_HD int end(int l) const {
    return last() ? p.length[l] + (p.folds ? kHalf + 1 : 0)
                  : ((at.tile + 1) * p.tile >> l) + 2 * kHalf;
  }
  SIGNALLLM_HD ShortRow row(int l, int o) const {
    return shared.row(
        (l & 1 ? p.odd_room : p.even_room) + o - begin(l), at.lane());
  }
  SIGNALLLM_HD ShortRow detail(int l, int o) const {
    return shared.row(p.detail_room[l] + o - begin(l), at.lane());
  }
  /// Rows -F ... F - 1 from the start, and as many from the end.
  SIGNALLLM_HD ShortRow beside(int i, int n) const {
    return shared.row(p.aside + (i < F ? i + F : 3 * F + i - n), at.lane());
  }
  SIGNALLLM_HD int64_t offset(int rows) const {
    return static_cast<int64_t>(at.batch) * rows * p.channels + channel;
  }
  SIGNALLLM_HD void put(int l, int r, const ShortSum& y) const {
    if (l > 0) {
      row(l, r).put(y);
    } else {
      store<T, V>(
          static_cast<T*>(p.output) + offset(p.length[0]) +
              static_cast<int64_t>(r) * p.channels,
          y);
    }
  }
};

} // namespace signalllm::cuda
