#pragma once

#include "ops/cpu/analysis.h"
#include "ops/cpu/cut.h"
#include "ops/cpu/edges.h"
#include "ops/cpu/narrow.h"
#include "ops/cpu/span.h"

#include <algorithm>

namespace signalllm::ops::cpu {

/// What a tile makes of every level's approximation, and reads of the input.
struct TileRows {
  std::vector<Span> made;
  Span read;
};

/// The levels of an analysis that are done together, and how they are cut into
/// jobs.
template <class A>
struct AnalysisStage {
  const Analysis<A>& call;
  int64_t first, last; // levels
  int64_t block, tile; // channels; rows of the stage's input
  int64_t base; // row 0 reads x_ext[base ..)
  std::vector<Overhang> overhang;
  const void* input; // of the stage; float where it is an inner one
  Storage input_storage;
  void* output; // the last level's approximation
  Storage output_storage;
  int64_t output_rows;
  bool streams = false;
  Narrow<A> narrow = {};
  std::vector<A> repeated_lo = {}, repeated_hi = {};
  TileRows whole = {}; // of the only tile

  const AnalysisLevel& level(int64_t l) const {
    return call.levels[l];
  }

  /// The tables that do not change from job to job.
  void prepare() {
    base = analysis_offset(call.mode, call.taps) - (call.taps - 1);
    overhang.reserve(last - first);
    for (int64_t l = first; l < last; ++l) {
      const auto& v = level(l);
      const int64_t end = 2 * (v.coefficients - 1) + base + call.taps;
      overhang.emplace_back(call.mode, v.length, -base, end - v.length);
    }
    narrow = {call.width(), call.per_channel};
    if (narrow.width > 0 && call.per_channel) {
      repeated_lo = narrow.repeated(call.lo, call.taps);
      repeated_hi = call.hi ? narrow.repeated(call.hi, call.taps) : repeated_lo;
    }
    if (tiles() == 1) {
      whole = rows_of(0);
    }
  }

  /// Values of scratch that a job on narrow rows needs.
  int64_t phase_space() const {
    return narrow.space(narrow.rows + call.taps / 2);
  }
  int64_t narrow_space() const {
    return narrow.width > 0 ? 2 * phase_space() + 2 * narrow.space(0) : 0;
  }
  int64_t narrow_taps() const {
    return narrow.width > 0 ? call.taps : 0;
  }

  int64_t tiles() const {
    return tile >= level(first).length
        ? 1
        : (level(first).length + tile - 1) / tile;
  }

  /// What tile t owns at level l's output.
  Range owned(int64_t l, int64_t t) const {
    const int64_t scale = int64_t{2} << (l - first);
    const int64_t n = level(l).coefficients;
    const auto bound = [&](int64_t i) {
      return i == tiles() ? n : std::min(n, i * tile / scale);
    };
    return {bound(t), bound(t + 1)};
  }

  /// Rows of level l's input that its output rows `out` read.
  Span read(int64_t l, Range out) const {
    Span in;
    if (out.size() == 0) {
      return in;
    }
    const auto& v = level(l);
    const int64_t from = 2 * out.first + base;
    const int64_t to = 2 * (out.last - 1) + base + call.taps;
    in.include(Range{std::max<int64_t>(from, 0), std::min(to, v.present)});
    const auto include = [&](int64_t i) {
      const auto& row = overhang[l - first].row(i);
      for (int k = 0; k < row.count; ++k) {
        const int64_t r = row.row[k];
        in.include(Range{r, std::min(r + 1, v.present)});
      }
    };
    for (int64_t i = from; i < std::min<int64_t>(to, 0); ++i) {
      include(i);
    }
    for (int64_t i = std::max(from, v.length); i < to; ++i) {
      include(i);
    }
    return in;
  }

  /// A tile makes what it owns and what the next level reads.
  TileRows rows_of(int64_t t) const {
    TileRows out;
    out.made.resize(last - first);
    for (int64_t i = last - first - 1; i >= 0; --i) {
      out.made[i] = out.read;
      out.made[i].include(owned(first + i, t));
      out.read = read(first + i, out.made[i].low);
      out.read.include(read(first + i, out.made[i].high));
    }
    return out;
  }
};

/// Chooses the last level, the channel block and the tile of a stage.
template <class A>
void plan_stage(AnalysisStage<A>& s) {
  const auto& call = s.call;
  const int64_t values = tile_values(call.storage);
  const int64_t length = s.level(s.first).length;
  const int64_t all = static_cast<int64_t>(call.levels.size());
  const int64_t narrow = std::min<int64_t>(call.width(), 32);
  // Rows that tiles of levels first .. last compute twice.
  const auto halo = [&](int64_t last) {
    return (call.taps - 2) *
        ((int64_t{1} << std::min<int64_t>(last - s.first, 40)) - 1);
  };
  if (length * narrow <= 2 * values) {
    s.last = all; // one tile of a few channels holds everything
  } else {
    s.last = s.first + 1;
    while (s.last < all && 4 * halo(s.last + 1) * narrow <= values) {
      ++s.last;
    }
  }
  const bool tiled = s.last == s.first + 1 || 4 * halo(s.last) < length;
  const int64_t rows = tiled
      ? std::min(length, std::max<int64_t>(64, 4 * halo(s.last)))
      : length;
  s.block = block_of(call, rows, values);
  s.tile = tiled ? std::max(rows, values / s.block) : length;
  // Enough jobs for all threads, in halves.
  const auto jobs = [&] { return count_jobs(call, s.block, s.tiles()); };
  const int64_t threads = available_threads();
  while (jobs() < threads && call.entries == 1 && s.block >= 64 &&
         call.batch * length * call.inner > 32 * 1024) {
    s.block = (s.block / 2 + 31) / 32 * 32;
  }
  while (tiled && jobs() < threads && s.tile >= 128 &&
         s.tile > 8 * halo(s.last) &&
         call.batch * length * call.inner > 32 * 1024) {
    s.tile /= 2;
  }
  // Boundaries that every level can halve.
  const int64_t unit = int64_t{1} << std::min<int64_t>(s.last - s.first, 40);
  s.tile =
      s.tile >= length ? length : std::max<int64_t>(s.tile / unit, 1) * unit;
}

} // namespace signalllm::ops::cpu
