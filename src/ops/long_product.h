#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace signalllm::ops {

/// From this inner dimension on a product of matrices on MPS reads past the
/// end of its operands (torch below 2.14; batched ones in every version, see
/// docs/mps.md).
constexpr int64_t long_inner = 32767;

/// True on MPS where one of the sizes is an inner dimension of the product or
/// of its gradients and too long.
bool is_long(const at::Tensor& like, std::initializer_list<int64_t> sizes);

/// `a b` for `[M, K]` and `[K, N]`. On MPS long inner dimensions are cut into
/// pieces whose products are added up (half types: in float32), in the
/// gradients, to any order, as well.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);

/// `at::linear` by `product`: `[..., K]` and `[N, K]` to `[..., N]`.
at::Tensor linear(
    const at::Tensor& input,
    const at::Tensor& weight,
    const std::optional<at::Tensor>& bias = {});

} // namespace signalllm::ops
