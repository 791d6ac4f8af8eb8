#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/fourier_convolution_attention.h>
#include <signalllm/nn/wavelet_attention.h>

#include <ostream>

namespace signalllm {

/// The optimised twin of `WaveletAttention` or `FourierConvolutionAttention`:
/// the same parameters and the same function, through the operators
/// `signalllm::causal_wavelet_filter` and `signalllm::gated_fft_conv`.
template <typename Standard>
class SIGNALLLM_API MPSOptimizedAttentionImpl
    : public Twin<Standard, MPSOptimizedAttentionImpl<Standard>> {
 public:
  using Twin<Standard, MPSOptimizedAttentionImpl<Standard>>::Twin;

  // Declared here too, so that AnyModule knows this class by it.
  torch::Tensor forward(const torch::Tensor& input) override {
    return Standard::forward(input);
  }
  void pretty_print(std::ostream& stream) const override;

 protected:
  torch::Tensor mix(const torch::Tensor& projected) override;
};

template <>
SIGNALLLM_API void
MPSOptimizedAttentionImpl<WaveletAttentionImpl>::pretty_print(
    std::ostream& stream) const;
template <>
SIGNALLLM_API torch::Tensor
MPSOptimizedAttentionImpl<WaveletAttentionImpl>::mix(
    const torch::Tensor& projected);
template <>
SIGNALLLM_API void
MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>::pretty_print(
    std::ostream& stream) const;
template <>
SIGNALLLM_API torch::Tensor
MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>::mix(
    const torch::Tensor& projected);

/// Holder of `MPSOptimizedAttentionImpl`; which attention follows from the
/// options: `MPSOptimizedAttention attention(WaveletAttentionOptions(64, 4));`
template <typename Standard>
class MPSOptimizedAttention
    : public torch::nn::ModuleHolder<MPSOptimizedAttentionImpl<Standard>> {
 public:
  using torch::nn::ModuleHolder<
      MPSOptimizedAttentionImpl<Standard>>::ModuleHolder;
  using Impl = MPSOptimizedAttentionImpl<Standard>;
};

MPSOptimizedAttention(const WaveletAttentionOptions&)
    ->MPSOptimizedAttention<WaveletAttentionImpl>;
MPSOptimizedAttention(const FourierConvolutionAttentionOptions&)
    ->MPSOptimizedAttention<FourierConvolutionAttentionImpl>;

} // namespace signalllm
