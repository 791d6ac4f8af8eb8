#pragma once

#include "ops/cpu/analysis.h"
#include "ops/cpu/synthesis.h"

#include <vector>

namespace signalllm::ops::cpu {

/// Gradients of the filters of a multilevel bank, analysis and synthesis alike:
/// with u_0 the signal, u_l its approximations going down, and v_n the given
/// approximation, v_l what a synthesis makes of it going up,
///
///   lo[k] = sum_l sum_{b,o,c} v_l[b, o, c] ext(u_{l-1})[b, 2o + base + k, c]
///
/// and hi likewise with the details in the place of v_l; base as in Analysis.
/// For `wavedec` u are the values and v the gradients, for `waverec` u are the
/// gradients and v the values.
template <class A>
struct BankGradient {
  /// Signal, levels and filters of the way down; no outputs.
  Analysis<A> down;
  /// Approximation, details and filters of the way up; no output.
  Synthesis<A> up;
};

struct FilterSums {
  std::vector<double> lo, hi; // [taps], or [taps][inner]
};

template <class A>
FilterSums bank_gradient(const BankGradient<A>& call);

} // namespace signalllm::ops::cpu
