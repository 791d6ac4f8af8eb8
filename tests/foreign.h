#pragma once

#include <signalllm/nn/fourier_convolution_attention.h>
#include <signalllm/nn/wavelet_transform.h>

#include <torch/nn/modules/linear.h>

namespace signalllm::test {

/// A parent that knows nothing of the swap and keeps typed members.
struct ForeignImpl : torch::nn::Cloneable<ForeignImpl> {
  ForeignImpl() {
    reset();
  }
  void reset() override {
    transform = register_module(
        "transform",
        WaveletTransform(
            WaveletTransformOptions("db2").level(2).learned(true)));
    mixer = register_module(
        "mixer",
        FourierConvolutionAttention(
            FourierConvolutionAttentionOptions(4).max_length(16).terms(2)));
    head = register_module("head", torch::nn::Linear(4, 3));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    auto c = transform->forward(x);
    c[0] = c[0] * 2;
    const auto y = transform->inverse(c, x.size(1));
    return head->forward(mixer->forward(y));
  }
  WaveletTransform transform{nullptr};
  FourierConvolutionAttention mixer{nullptr};
  torch::nn::Linear head{nullptr};
};
TORCH_MODULE(Foreign);

} // namespace signalllm::test
