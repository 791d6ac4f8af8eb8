#pragma once

#include "ops/cpu/edges.h"
#include "ops/cpu/synthesis.h"

#include <algorithm>

namespace signalllm::ops::cpu {

/// The levels of a synthesis that are done together, and how they are cut into
/// jobs.
template <class A>
struct SynthesisStage {
  const Synthesis<A>& call;
  int64_t first, last; // levels; `last` - 1 is the coarsest
  int64_t block, tile; // channels; rows of level `first`'s output
  int64_t left, steps;
  std::vector<Overhang> overhang;
  const void* input; // a of level last - 1
  Storage input_storage;
  int64_t input_rows;
  void* output;
  Storage output_storage;
  bool streams = false;

  const SynthesisLevel& level(int64_t l) const {
    return call.levels[l];
  }
  /// The tables that do not change from job to job.
  void prepare() {
    left = call.mode == Mode::periodization ? call.taps / 2 - 1 : call.taps - 2;
    steps = call.taps / 2;
    for (int64_t l = first; l < last; ++l) {
      const auto& v = level(l);
      const int64_t end = 2 * (v.coefficients - 1) + call.taps - left;
      overhang.emplace_back(call.mode, v.length, left, end - v.length);
    }
  }

  int64_t tiles() const {
    return (level(first).wanted + tile - 1) / tile;
  }

  /// Pairs that make only rows before, or from, the signal's two ends.
  Range pairs_before() const {
    return {0, (left + 1) / 2};
  }
  Range pairs_after(int64_t l) const {
    return {(level(l).length + left) / 2, level(l).coefficients + steps - 1};
  }

  bool folds(int64_t l, Range out, int64_t i) const {
    const auto& row = overhang[l - first].row(i);
    for (int k = 0; k < row.count; ++k) {
      if (row.row[k] >= out.first && row.row[k] < out.last) {
        return true;
      }
    }
    return false;
  }
  bool folds_before(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = overhang[l - first].first(); i < 0 && !any; ++i) {
      any = folds(l, out, i);
    }
    return any;
  }
  bool folds_after(int64_t l, Range out) const {
    bool any = false;
    for (int64_t i = level(l).length; i < overhang[l - first].last() && !any;
         ++i) {
      any = folds(l, out, i);
    }
    return any;
  }

  /// Rows of a and d that the output rows `out` need.
  Range read(int64_t l, Range out) const {
    Range in;
    const auto include = [&](Range pairs) {
      if (pairs.size() > 0) {
        const int64_t n = level(l).coefficients;
        const int64_t a = std::max<int64_t>(pairs.first - steps + 1, 0);
        const int64_t b = std::min(pairs.last, n);
        if (a < b) {
          in.include(a);
          in.include(b - 1);
        }
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
};

/// Chooses the finest level that is done together with level last - 1, the
/// channel block and the tile.
template <class A>
void plan_stage(SynthesisStage<A>& s) {
  const auto& call = s.call;
  const int64_t values = tile_values(call.storage);
  const int64_t narrow = std::min<int64_t>(call.inner, 32);
  int64_t length = s.level(0).wanted;
  const bool far = reads_far_end(call.mode);
  s.first = 0;
  bool tiled = !far;
  if (far && length * narrow > 2 * values) {
    s.first = s.last - 1; // level by level: everything may be read
    length = s.level(s.first).wanted;
    tiled = true;
  }
  const int64_t rows =
      tiled ? std::min(length, std::max<int64_t>(64, 8 * call.taps)) : length;
  s.block = channel_block(call.inner, rows, values);
  s.tile = tiled ? std::max(rows, values / s.block) : length;
  const auto jobs = [&] {
    return call.batch * ((call.inner + s.block - 1) / s.block) * s.tiles();
  };
  const int64_t threads = available_threads();
  const bool large = call.batch * length * call.inner > 32 * 1024;
  while (large && jobs() < threads && s.block >= 64) {
    s.block = (s.block / 2 + 31) / 32 * 32;
  }
  while (large && tiled && jobs() < threads && s.tile >= 16 * call.taps) {
    s.tile /= 2;
  }
  s.tile = s.tile >= length ? length : std::max<int64_t>(s.tile / 2, 1) * 2;
}

} // namespace signalllm::ops::cpu
