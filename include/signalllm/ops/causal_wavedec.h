#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace signalllm::ops {

/// Undecimated one-sided (a-trous) analysis that never looks ahead.
///
/// `a_0 = x`, `a_{j+1}[t] = sum_k lo[k] a_j[t - 2^j k]`,
/// `d_{j+1} = a_j - a_{j+1}`; before the start everything is zero. The inverse
/// is the sum of what is returned, exact for any filter and without delay.
///
/// @param input  any rank >= 1, length N >= 1 along `dim`
/// @param lo  `[taps]` or `[channels, taps]`, any number of taps; tap 0 is
///   the present
/// @param level  number of levels J, 0 to 61
/// @return `[a_J, d_J, ..., d_1]`, all of the input's shape
SIGNALLLM_API std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim = -2);

} // namespace signalllm::ops
