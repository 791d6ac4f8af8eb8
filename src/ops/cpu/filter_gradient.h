#pragma once

#include "ops/cpu/jobs.h"
#include "ops/extension.h"

#include <vector>

namespace signalllm::ops::cpu {

/// One level's part of the filters' gradients:
/// lo[k] = sum_{b,o,c} lo[b, o, c] x_ext[b, 2o + base + k, c], hi likewise,
/// with analysis' base: analysis_offset(mode, taps) - (taps - 1).
template <class A>
struct FilterGradient {
  Mode mode = Mode::reflect;
  int64_t batch = 0, inner = 0, taps = 0;
  bool per_channel = false;

  const A* x = nullptr; // [batch, present, inner]
  /// As in AnalysisLevel.
  int64_t length = 0, present = 0;

  const A* lo = nullptr; // [batch, lo_rows, inner], the first coefficients
  const A* hi = nullptr; // [batch, coefficients, inner]
  int64_t coefficients = 0, lo_rows = 0;
};

/// Adds to `lo` and `hi`, `[taps]` or `[taps][inner]`.
template <class A>
void add_filter_gradient(
    const FilterGradient<A>& call,
    std::vector<double>& lo,
    std::vector<double>& hi);

} // namespace signalllm::ops::cpu
