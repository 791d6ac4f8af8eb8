#pragma once

#include "ops/cpu/bank_gradient.h"
#include "ops/cpu/jobs.h"

#include <vector>

/// The undecimated bank of `swt` and `iswt`: level l filters circularly with
/// dilation 2^l. Signals are `[batch, length, inner]`, contiguous; filters
/// `[taps]` or, per_channel, `[taps][inner]`. A is float, or double for
/// float64.
namespace signalllm::ops::cpu {

template <class A>
struct Stationary {
  Storage storage = Storage::float32;
  int64_t batch = 0, length = 0, inner = 0, levels = 0;
  int64_t taps = 0;
  bool per_channel = false;
  /// a_{l+1}[n] = sum_k lo[k] a_l[n + 2^l (k - taps / 2 + 1)], d_{l+1} with hi.
  const A* lo = nullptr;
  const A* hi = nullptr;
  /// a_l[n] = sum_k up_lo[k] a_{l+1}[n + 2^l (k - taps / 2)]
  ///        + up_hi[k] d_{l+1}[n + 2^l (k - taps / 2)].
  const A* up_lo = nullptr;
  const A* up_hi = nullptr;
};

/// outputs `[a_J, d_J, .. d_1]`; wants lo and hi.
template <class A>
void stationary_analyse(
    const Stationary<A>& call,
    const void* input,
    const std::vector<void*>& outputs);

/// a_0; wants up_lo and up_hi.
template <class A>
void stationary_synthesise(
    const Stationary<A>& call,
    const std::vector<const void*>& coeffs,
    void* output);

/// With u_l what the analysis makes of the input, and v_l what the synthesis
/// makes of the gradients `[v_J, w_J, .. w_1]`:
/// lo[k] = sum_l sum v_{l+1}[n] u_l[n + 2^l (k - taps / 2 + 1)], and hi with w.
template <class A>
FilterSums stationary_gradient(
    const Stationary<A>& call,
    const void* input,
    const std::vector<const void*>& grads);

} // namespace signalllm::ops::cpu
