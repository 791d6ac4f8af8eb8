#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

namespace signalllm::ops {

/// `y = x / sqrt(mean(x^2) + epsilon)`, the mean over the last axis, in float32
/// (float64) and rounded once to the input's dtype.
///
/// @param input  `[..., C]`, C >= 1, floating point
/// @param epsilon  not negative
SIGNALLLM_API at::Tensor rms_norm(const at::Tensor& input, double epsilon);

} // namespace signalllm::ops
