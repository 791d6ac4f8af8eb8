#pragma once

#include "extension.cuh"

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

namespace signalllm::cuda {

/// Tap k of output o meets row step o + offset - dilation k of the extended
/// signal, o < count, the signal having `length` rows.
struct Correlation {
  Border border = Border::zero;
  int64_t step = 1;
  int64_t offset = 0;
  int64_t dilation = 1;
  int64_t count = 0;
  int64_t length = 0;
};

/// `[1 or 2, inner, taps]` in the accumulate type: sums over batch and
/// outputs of g0 (and g1, where defined) times the signal's rows. Signals are
/// contiguous `[batch, rows, inner]` in `type` or its accumulate type.
at::Tensor correlate(
    const at::Tensor& g0,
    const at::Tensor& g1,
    const at::Tensor& x,
    at::ScalarType type,
    int64_t taps,
    const ops::Signal& signal,
    const Correlation& how);

} // namespace signalllm::cuda
