#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace signalllm {

/// `scaled_dot_product_attention` in a form that is right on every device: for
/// MPS contiguous operands, and a mask in place of `is_causal` in half
/// precision (docs/mps.md).
at::Tensor dense_attention(
    const at::Tensor& q,
    const at::Tensor& k,
    const at::Tensor& v,
    const std::optional<at::Tensor>& mask,
    bool causal);

} // namespace signalllm
