#pragma once

#include "ops/cpu/jobs.h"
#include "ops/cpu/lattice.h"
#include "ops/extension.h"

#include <vector>

namespace signalllm::ops::cpu {

/// One level of a synthesis.
struct SynthesisLevel {
  /// Length of what the level makes, and how many of its values are wanted:
  /// the rest, at most one, is dropped.
  int64_t length = 0, wanted = 0;
  int64_t coefficients = 0;
  const void* detail = nullptr; // [batch, coefficients, inner]
};

/// All levels of a multilevel synthesis to `[batch, wanted, inner]`,
/// contiguous; levels[0] makes the signal. Row p of the full synthesis is
/// sum_k lo[p - 2k] a[k] + hi[p - 2k] d[k]; row p - left of the signal gets it,
/// and what falls outside is folded back with the transpose of the extension
/// by `mode` (zero: dropped; periodization: wrapped).
template <class A>
struct Synthesis {
  Mode mode = Mode::zero;
  Storage storage = Storage::float32;
  int64_t batch = 0, inner = 0;
  /// Batch entries that a job computes side by side, more than one for short
  /// signals of few channels.
  int64_t entries = 1;
  const void* approximation = nullptr;
  int64_t approximation_rows = 0; // from one batch entry to the next
  std::vector<SynthesisLevel> levels;
  void* output = nullptr;

  /// `[taps / 2][4]`: with h = taps - 2 - 2i, lo[h], lo[h + 1], hi[h],
  /// hi[h + 1]; each one value, or `width()` of them where per_channel.
  const A* filters = nullptr;
  int64_t taps = 0;
  bool per_channel = false;
  /// Of the correlations with lo and hi; 0 stages where they have none.
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
void synthesise(const Synthesis<A>& call);

} // namespace signalllm::ops::cpu
