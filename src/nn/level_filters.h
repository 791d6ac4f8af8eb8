#pragma once

#include <ATen/core/Tensor.h>

namespace signalllm {

/// `ops::causal_wavelet_filter` with filters of each level's own.
///
/// @param input  `[N, L, C]`, L >= 1
/// @param lo, hi  `[J, taps]` or `[J, C, taps]`; tap 0 is the present
/// @param weight  `[C, J + 2]`
/// @param filter  `ops::causal_filter` or its composed form: a level is that
///     filter over every 2^j-th sample, which are channels of another view
at::Tensor level_filters(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    at::Tensor (*filter)(const at::Tensor&, const at::Tensor&, int64_t));

} // namespace signalllm
