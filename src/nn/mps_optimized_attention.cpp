#include <signalllm/nn/mps_optimized_attention.h>

#include <signalllm/nn/tree_attention.h>
#include <signalllm/ops/attention_heads.h>
#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/gated_fft_conv.h>
#include <signalllm/ops/tree_attention.h>

#include "nn/dense_attention.h"
#include "nn/rms_norm.h"
#include "ops/metal.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace signalllm {
namespace {

/// The widest heads, and the longest sequence where all sees all, for which the
/// kernel of `tree_attention` takes the place of torch's attention.
constexpr int64_t kWidest = 128, kLongest = 1024;

/// Attention of queries, keys and values `[B, heads, T, d]`, in one operator
/// where there is one for it: causal attention is that over a tree of no more
/// than two windows, where the device has no better one.
torch::Tensor attend_at_once(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const WaveletAttentionOptions& options) {
  const auto length = q.size(2);
  const bool few = !q.is_cuda() && length <= 2 * options.window();
  if (options.window() > 0 && !few) {
    return tree_attention(q, k, v, {options.window(), options.opened()});
  }
  if (q.is_mps() && options.causal() && q.size(3) <= kWidest &&
      length <= kLongest) {
    const auto half = (length + 3) / 4 * 2; // even
    return std::get<0>(ops::tree_attention(q, k, v, half));
  }
  return dense_attention(q, k, v, {}, options.causal() && length > 1);
}

} // namespace

template <>
void MPSOptimizedAttentionImpl<WaveletAttentionImpl>::pretty_print(
    std::ostream& stream) const {
  stream << "signalllm::MPSOptimizedAttention(kind=wavelet, ";
  print_options(stream);
}

template <>
torch::Tensor MPSOptimizedAttentionImpl<WaveletAttentionImpl>::mix(
    const torch::Tensor& projected) {
  if (!ops::has_kernels(projected)) {
    return WaveletAttentionImpl::mix(projected);
  }
  const auto filtered = filter->fused(projected);
  if (!ops::on_gpu(filtered)) {
    return attend(filtered);
  }
  // Autocast would make it float32.
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  const auto [q, k, v] = ops::attention_heads(
      filtered,
      options.num_heads(),
      rotary ? std::optional(rotary->options.base()) : std::nullopt,
      /*offset=*/0,
      options.qk_norm() ? std::optional(kRmsEpsilon) : std::nullopt);
  return attend_at_once(q, k, v, options).transpose(1, 2).flatten(2);
}

template <>
void MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>::pretty_print(
    std::ostream& stream) const {
  stream << "signalllm::MPSOptimizedAttention(kind=fourier, dim="
         << options.dim() << ", width=" << options.width()
         << ", max_length=" << options.max_length()
         << ", terms=" << options.terms() << ", normalize=" << std::boolalpha
         << options.normalize() << ", constant_q=" << options.constant_q()
         << ", filter=" << to_string(options.filter())
         << ", causal=" << options.causal() << ")";
}

template <>
torch::Tensor MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>::mix(
    const torch::Tensor& projected) {
  if (!ops::has_kernels(projected)) {
    return FourierConvolutionAttentionImpl::mix(projected);
  }
  auto parts = filter->fused_parts(projected, 3);
  auto taps = kernel(projected.size(1));
  auto wide_skip = skip.to(taps.scalar_type());
  if (options.causal()) {
    return ops::gated_fft_conv(parts[2], parts[1], parts[0], taps, wide_skip);
  }
  return parts[0] *
      ops::fft_conv(parts[1] * parts[2], taps, wide_skip, /*causal=*/false);
}

} // namespace signalllm
