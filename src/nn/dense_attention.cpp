#include "nn/dense_attention.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>

namespace signalllm {

at::Tensor dense_attention(
    const at::Tensor& q,
    const at::Tensor& k,
    const at::Tensor& v,
    const std::optional<at::Tensor>& mask,
    bool causal) {
  if (!q.device().is_mps()) {
    return at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal);
  }
  auto seen = mask;
  const bool half =
      q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16;
  if (causal && half) {
    seen =
        at::ones({q.size(-2), k.size(-2)}, q.options().dtype(at::kBool)).tril();
  }
  return at::scaled_dot_product_attention(
      q.contiguous(),
      k.contiguous(),
      v.contiguous(),
      seen,
      0.0,
      causal && !half);
}

} // namespace signalllm
