#include <signalllm/nn/mps_optimized_attention.h>

#include <signalllm/ops/fft_conv.h>
#include <signalllm/ops/gated_fft_conv.h>

#include <ATen/OpMathType.h>

namespace signalllm {

template <>
void MPSOptimizedAttentionImpl<WaveletAttentionImpl>::pretty_print(
    std::ostream& stream) const {
  stream << "signalllm::MPSOptimizedAttention(kind=wavelet, ";
  print_options(stream);
}

template <>
torch::Tensor MPSOptimizedAttentionImpl<WaveletAttentionImpl>::mix(
    const torch::Tensor& projected) {
  return attend(filter->fused(projected));
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
