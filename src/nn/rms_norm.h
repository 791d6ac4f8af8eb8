#pragma once

#include "ops/rms_norm.h"

#include <ATen/ops/rms_norm.h>

namespace signalllm {

/// What is added to the mean square.
inline constexpr double kRmsEpsilon = 1e-6;

/// Root-mean-square norm over the last axis, without a gain. torch's fused one
/// has no backward kernel for MPS, nor for what else is not CUDA, where it is
/// composed as ours is.
inline at::Tensor rms_norm(const at::Tensor& x) {
  return x.is_mps() ? ops::composite::rms_norm(x, kRmsEpsilon)
                    : at::rms_norm(x, {x.size(-1)}, {}, kRmsEpsilon);
}

} // namespace signalllm
