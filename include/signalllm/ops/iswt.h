#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace signalllm::ops {

/// Inverse of `swt`, PyWavelets' `iswt`, for any length N >= 1.
///
/// Level l, D = 2^(l-1): `a_{l-1}[n] = 1/2 sum_t rec_lo[t] a_l[(n +
/// D (F/2 - 1 - t)) mod N] + rec_hi[t] d_l[...]`: the mean of the inverses
/// from the even and from the odd shifts.
///
/// @param coeffs  `[cA_n, cD_n, ..., cD_1]`, all of one shape and dtype, of at
///   most 61 levels
/// @param rec_lo, rec_hi  as the filters of `swt`
/// @return the signal, of the coefficients' shape
SIGNALLLM_API at::Tensor iswt(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim = -2);

} // namespace signalllm::ops
