#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/wavelet_transform.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <string>

namespace signalllm {

/// Options for `StochasticTransform`.
struct SIGNALLLM_API StochasticTransformOptions {
  /// `keep` p in (0, 1]: the share of the detail coefficients that is kept.
  /* implicit */ StochasticTransformOptions(double keep = 0.9);

  TORCH_ARG(double, keep);
  /// An orthogonal wavelet of `wavelist()`.
  TORCH_ARG(std::string, wavelet) = "db2";
  TORCH_ARG(int64_t, level) = 3;
  /// False: decimated, with periodization, which keeps the transform
  /// orthogonal and the bound exact.
  TORCH_ARG(bool, causal) = true;
};

/// The signal from a random part of its wavelet coefficients, without bias.
///
/// While training, each detail d_j[t] (a row of all channels) is kept with
/// probability p and divided by p, or dropped: `y = a_J + sum_j (b_j[t] / p)
/// d_j[t]`, b ~ Bernoulli(p), so that E[y] = x: a dropout that takes away
/// structure of one scale at one place, never the trend. In eval mode `y = x`.
///
/// Shapes: `[B, T, C]` to the same.
class SIGNALLLM_API StochasticTransformImpl
    : public torch::nn::Cloneable<StochasticTransformImpl> {
 public:
  explicit StochasticTransformImpl(
      const StochasticTransformOptions& options_ = {});

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input);

  /// `[B]`: `sqrt((1/p - 1) sum_j |d_j|^2)`, the root of the mean of
  /// `|y - x|^2` (over T and C) over the random choices: these are independent
  /// and the details orthogonal, or, causal, added one by one. By Chebyshev's
  /// inequality `|y - x|` exceeds `error_bound / sqrt(q)` with probability at
  /// most q.
  torch::Tensor error_bound(const torch::Tensor& input);

  StochasticTransformOptions options;
  WaveletTransform transform{nullptr};
};
TORCH_MODULE(StochasticTransform);

} // namespace signalllm
