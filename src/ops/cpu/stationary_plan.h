#pragma once

#include "ops/cpu/narrow.h"
#include "ops/cpu/stationary.h"

#include <algorithm>
#include <vector>

// How the undecimated bank is cut into jobs (batch entry, block of channels,
// tile of the sequence), and the filters as the kernels want them.

namespace signalllm::ops::cpu {

/// What a job computes in: a share of the second cache.
inline constexpr int64_t kStationaryScratch = int64_t{1} << 20; // bytes

/// Below as many values a second thread gains nothing.
inline constexpr int64_t kWorthThreads = 32 * 1024;

/// A tile computes its halo, too, on both sides. It has at least so many halos
/// of its own, and is halved for threads only where it has twice as many.
inline constexpr int64_t kLeastHalos = 4;

/// Shorter tiles cost more in calls than in sums.
inline constexpr int64_t kLeastRows = 64;

/// How the work is cut, and the filters as the kernels want them.
template <class A>
struct StationaryPlan {
  const Stationary<A>& call;
  int64_t block = 0, tile = 0;
  bool whole = false; // one tile
  Narrow<A> narrow;
  int64_t taps_stride = 0;
  std::vector<A> lo, hi, up; // up: those of a, then those of d

  /// `fields` of a job's size lie in its scratch; `threads` jobs are wanted.
  StationaryPlan(const Stationary<A>& c, int64_t fields, int64_t threads)
      : call(c), narrow(c.inner, c.per_channel) {
    const int64_t values =
        kStationaryScratch / static_cast<int64_t>(sizeof(A)) / fields;
    const int64_t halo =
        (c.taps - 1) * ((int64_t{1} << std::min<int64_t>(c.levels, 40)) - 1);
    const int64_t least = std::min<int64_t>(c.inner, 16);
    whole = c.length * least <= values || kLeastHalos * halo >= c.length;
    const int64_t rows =
        whole ? c.length : std::max(kLeastRows, kLeastHalos * halo);
    block = channel_block(c.inner, rows, values);
    tile = whole ? c.length : std::max(rows, values / block - 2 * halo);
    const bool large = c.batch * c.length * c.inner > kWorthThreads;
    while (large && jobs() < threads && block >= 64) {
      block = (block / 2 + 31) / 32 * 32;
    }
    while (large && !whole && jobs() < threads && tile >= 2 * kLeastRows &&
           tile > 2 * kLeastHalos * halo) {
      tile /= 2;
    }
    if (c.per_channel) {
      taps_stride = narrow.width > 0 ? narrow.width : c.inner;
    }
    lo = taps(c.lo);
    hi = taps(c.hi);
    up = taps(c.up_lo);
    const auto other = taps(c.up_hi);
    up.insert(up.end(), other.begin(), other.end());
  }

  int64_t blocks() const {
    return (call.inner + block - 1) / block;
  }
  int64_t tiles() const {
    return (call.length + tile - 1) / tile;
  }
  int64_t jobs() const {
    return call.batch * blocks() * tiles();
  }
  /// Taps' first rows to read at a row: 2^level apart.
  int64_t dilation(int64_t level) const {
    int64_t d = 1;
    for (int64_t l = 0; l < level; ++l) {
      d = whole ? d * 2 % call.length : d * 2;
    }
    return d;
  }

 private:
  std::vector<A> taps(const A* f) const {
    if (!f) {
      return {};
    }
    return narrow.width > 0 && call.per_channel
        ? narrow.repeated(f, call.taps)
        : std::vector<A>(
              f, f + call.taps * (call.per_channel ? call.inner : 1));
  }
};

} // namespace signalllm::ops::cpu
