#pragma once

#include "ops/cpu/cut.h"
#include "ops/cpu/edges.h"
#include "ops/cpu/narrow.h"
#include "ops/cpu/span.h"
#include "ops/cpu/synthesis.h"

#include <algorithm>

namespace signalllm::ops::cpu {

/// How a synthesis is cut into jobs, and its tables.
template <class A>
struct SynthesisStage {
  const Synthesis<A>& call;
  int64_t block, tile; // channels; rows of the output
  int64_t left = 0, steps = 0;
  std::vector<Overhang> overhang = {};
  bool streams = false;
  Narrow<A> narrow = {};
  std::vector<A> repeated = {};
  std::vector<Span> whole = {}; // rows_of(0), the only tile's

  int64_t levels() const {
    return static_cast<int64_t>(call.levels.size());
  }
  const SynthesisLevel& level(int64_t l) const {
    return call.levels[l];
  }
  /// The tables that do not change from job to job.
  void prepare() {
    overhang.reserve(levels());
    left = call.mode == Mode::periodization ? call.taps / 2 - 1 : call.taps - 2;
    steps = call.taps / 2;
    for (int64_t l = 0; l < levels(); ++l) {
      const auto& v = level(l);
      const int64_t end = 2 * (v.coefficients - 1) + call.taps - left;
      overhang.emplace_back(call.mode, v.length, left, end - v.length);
    }
    narrow = {call.width(), call.per_channel};
    if (narrow.width > 0 && call.per_channel) {
      repeated = narrow.repeated(call.filters, 2 * call.taps);
    }
    if (tile > 0 && tiles() == 1) {
      whole = rows_of(0);
    }
  }

  /// Scratch that a job on narrow rows needs: of a, d and both rows of pairs.
  int64_t run_space() const {
    return narrow.space(narrow.rows + steps);
  }
  int64_t narrow_space() const {
    return narrow.width > 0 ? 4 * run_space() : 0;
  }

  int64_t tiles() const {
    return (level(0).wanted + tile - 1) / tile;
  }

  /// Pairs that make only rows before, or from, the signal's two ends.
  Range pairs_before() const {
    return {0, (left + 1) / 2};
  }
  Range pairs_after(int64_t l) const {
    return {(level(l).length + left) / 2, level(l).coefficients + steps - 1};
  }

  bool folds(int64_t l, Range out, int64_t i) const {
    const auto& row = overhang[l].row(i);
    for (int k = 0; k < row.count; ++k) {
      if (row.row[k] >= out.first && row.row[k] < out.last) {
        return true;
      }
    }
    return false;
  }
  bool folds_before(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = overhang[l].first(); i < 0 && !any; ++i) {
      any = folds(l, out, i);
    }
    return any;
  }
  bool folds_after(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = level(l).length; i < overhang[l].last() && !any; ++i) {
      any = folds(l, out, i);
    }
    return any;
  }

  /// Rows of a and d that the output rows `out` need.
  Span read(int64_t l, Range out) const {
    Span in;
    if (out.size() == 0) {
      return in;
    }
    const auto include = [&](Range pairs) {
      if (pairs.size() > 0) {
        in.include(Range{
            std::max<int64_t>(pairs.first - steps + 1, 0),
            std::min(pairs.last, level(l).coefficients)});
      }
    };
    include({(out.first + left) / 2, (out.last - 1 + left) / 2 + 1});
    if (folds_before(l, out)) {
      include(pairs_before());
    }
    if (folds_after(l, out)) {
      include(pairs_after(l));
    }
    return in;
  }
  Span read(int64_t l, const Span& out) const {
    Span in = read(l, out.low);
    in.include(read(l, out.high));
    return in;
  }

  /// What tile t makes: rows of level l's output, and behind those of the
  /// approximation.
  std::vector<Span> rows_of(int64_t t) const {
    std::vector<Span> made(levels() + 1);
    made[0].low = {t * tile, std::min((t + 1) * tile, level(0).wanted)};
    for (int64_t l = 0; l < levels(); ++l) {
      made[l + 1] = read(l, made[l]);
    }
    return made;
  }
};

/// Chooses the channel block and the tile.
template <class A>
void plan_stage(SynthesisStage<A>& s) {
  const auto& call = s.call;
  const int64_t values = tile_values(call.storage);
  const int64_t length = s.level(0).wanted;
  const int64_t rows = std::min(length, std::max<int64_t>(64, 8 * call.taps));
  s.block = block_of(call, rows, values);
  s.tile = std::max(rows, values / s.block);
  const auto jobs = [&] { return count_jobs(call, s.block, s.tiles()); };
  const int64_t threads = available_threads();
  const bool large = call.batch * length * call.inner > 32 * 1024;
  while (large && call.entries == 1 && jobs() < threads && s.block >= 64) {
    s.block = (s.block / 2 + 31) / 32 * 32;
  }
  while (large && jobs() < threads && s.tile >= 16 * call.taps) {
    s.tile /= 2;
  }
  s.tile = s.tile >= length ? length : std::max<int64_t>(s.tile / 2, 1) * 2;
}

} // namespace signalllm::ops::cpu
