#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

/// Coefficients in one tensor, for losses, quantisation and storage.
namespace signalllm::functional {

/// `[cA_n, cD_n, ..., cD_1]` one after the other along `dim`: one tensor whose
/// length along `dim` is the sum of theirs. What PyWavelets' `ravel_coeffs`
/// does for one axis, other axes kept.
SIGNALLLM_API at::Tensor pack(at::TensorList coeffs, int64_t dim = -2);

/// The inverse: views of `packed` with these lengths along `dim`, which
/// `wavedec_lengths` gives for the coefficients of `wavedec`. Throws
/// `c10::Error` where the lengths do not add up to the tensor's.
SIGNALLLM_API std::vector<at::Tensor>
unpack(const at::Tensor& packed, at::IntArrayRef lengths, int64_t dim = -2);

} // namespace signalllm::functional
