#pragma once

#include "ops/cpu/jobs.h"
#include "ops/cpu/lattice.h"
#include "ops/extension.h"

#include <vector>

namespace signalllm::ops::cpu {

/// One level of an analysis.
struct AnalysisLevel {
  /// Length of the level's input, and how many of its values exist: the rest,
  /// at most one, is zero.
  int64_t length = 0, present = 0;
  int64_t coefficients = 0;
  void* detail = nullptr; // [batch, coefficients, inner]; null: not wanted
};

/// All levels of a multilevel analysis of `[batch, length, inner]`, contiguous.
/// A is float, or double for float64.
template <class A>
struct Analysis {
  Mode mode = Mode::reflect;
  Storage storage = Storage::float32;
  int64_t batch = 0, inner = 0;
  /// Batch entries that a job computes side by side, more than one for short
  /// signals of few channels.
  int64_t entries = 1;
  const void* input = nullptr;
  std::vector<AnalysisLevel> levels;
  void* approximation = nullptr;
  int64_t approximation_rows = 0; // from one batch entry to the next

  /// a[o] = sum_k lo[k] x_ext[2o + analysis_offset - (taps - 1) + k]; tap k at
  /// k, or at k * width() + channel where per_channel.
  const A* lo = nullptr;
  const A* hi = nullptr;
  int64_t taps = 0;
  bool per_channel = false;
  /// Of lo and hi; 0 stages where they have none.
  Lattice<A> lattice;

  /// Values of a row as jobs compute them, and of a tap where per_channel.
  int64_t width() const {
    return inner * entries;
  }
  int64_t groups() const {
    return (batch + entries - 1) / entries;
  }
};

template <class A>
void analyse(const Analysis<A>& call);

} // namespace signalllm::ops::cpu
