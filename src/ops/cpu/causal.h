#pragma once

#include "ops/cpu/jobs.h"

#include <vector>

/// The one-sided dilated bank: level j filters with dilation 2^j and zero
/// history. Signals are `[batch, length, inner]`, contiguous; filters `[taps]`
/// or, per_channel, `[taps][inner]`. A is float, or double for float64.
namespace signalllm::ops::cpu {

template <class A>
struct Causal {
  Storage storage = Storage::float32;
  int64_t batch = 0, length = 0, inner = 0, levels = 0;
  const A* lo = nullptr;
  const A* hi = nullptr; // wavelet filter only
  int64_t taps = 0;
  bool per_channel = false;
  /// `[levels + 2]`, or `[levels + 2][inner]`; wavelet filter only.
  const A* weight = nullptr;
  bool weight_per_channel = false;
};

/// outputs `[a_J, d_J, .. d_1]`: a_{j+1} = lo * a_j, d_{j+1} = a_j - a_{j+1}.
template <class A>
void causal_analyse(
    const Causal<A>& call,
    const void* input,
    const std::vector<void*>& outputs);

/// Its transpose.
template <class A>
void causal_analyse_transpose(
    const Causal<A>& call,
    const std::vector<const void*>& grads,
    void* output);

/// Gradient of the filter, laid out like it.
template <class A>
std::vector<double> causal_analyse_gradient(
    const Causal<A>& call,
    const void* input,
    const std::vector<const void*>& grads);

/// y = w_0 x + sum_j w_{j+1} (hi * a_j) + w_{J+1} a_J.
template <class A>
void causal_filter(const Causal<A>& call, const void* input, void* output);

/// Its transpose.
template <class A>
void causal_filter_transpose(
    const Causal<A>& call,
    const void* grad,
    void* output);

struct CausalGradients {
  std::vector<double> lo, hi, weight; // laid out like what they belong to
};

template <class A>
CausalGradients causal_filter_gradient(
    const Causal<A>& call,
    const void* input,
    const void* grad);

} // namespace signalllm::ops::cpu
