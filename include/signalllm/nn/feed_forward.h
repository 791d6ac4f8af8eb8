#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/causal_filter.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <string>

namespace signalllm {

/// Where `SpectralFeedForward` filters.
enum class SpectralKind {
  /// Nowhere.
  None,
  /// A gain on the spectrum over the hidden channels, folded into W2.
  Channel,
  /// A short causal filter in time between W1 and the non-linearity.
  CausalTime,
  /// The same with a causal filter of wavelets.
  CausalWavelet,
};

/// The non-linearity of `SpectralFeedForward`.
enum class Activation {
  Gelu,
  /// max(x, 0)^2 (So et al., "Primer", 2021).
  SquaredRelu,
};

/// "gelu", "squared_relu".
SIGNALLLM_API const char* to_string(Activation activation);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API Activation parse_activation(const std::string& name);

/// "none", "channel", "causal_time", "causal_wavelet".
SIGNALLLM_API const char* to_string(SpectralKind kind);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API SpectralKind parse_spectral_kind(const std::string& name);

/// Options for `SpectralFeedForward`.
struct SIGNALLLM_API SpectralFeedForwardOptions {
  /* implicit */ SpectralFeedForwardOptions(int64_t dim);

  TORCH_ARG(int64_t, dim);
  /// Hidden width H; 0 means 4 `dim`.
  TORCH_ARG(int64_t, hidden) = 0;
  TORCH_ARG(SpectralKind, kind) = SpectralKind::Channel;
  TORCH_ARG(Activation, activation) = Activation::SquaredRelu;
  /// On the hidden channels, in training.
  TORCH_ARG(double, dropout) = 0.0;
  /// `CausalTime`: taps of the filter.
  TORCH_ARG(int64_t, taps) = 3;
  /// `CausalWavelet`: see `CausalFilterOptions`.
  TORCH_ARG(std::string, wavelet) = "db2";
  TORCH_ARG(int64_t, levels) = 3;
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
};

/// What `SpectralFeedForward` remembers while it generates: the filter's past
/// and the folded W2, so that the weights must not change meanwhile.
struct SIGNALLLM_API SpectralFeedForwardState {
  CausalFilterState filter;
  torch::Tensor weight;
};

/// Two linear maps with a spectral filter between.
///
/// `Channel`: `y = W2 C f(W1 x)`, f the activation, C the zero-phase circulant
/// with the real gain `g[k]` on frequency k of the H hidden channels. C is
/// symmetric, so `W2 C = irfft(g rfft(W2))` along its rows, which costs nothing
/// per token. `CausalTime` and `CausalWavelet`: `y = W2 f(S(W1 x))`, S a
/// `CausalFilter`, `Short` or `Wavelet`.
///
/// Shapes: `[B, T, D]` to the same.
class SIGNALLLM_API SpectralFeedForwardImpl
    : public torch::nn::Cloneable<SpectralFeedForwardImpl> {
 public:
  explicit SpectralFeedForwardImpl(int64_t dim)
      : SpectralFeedForwardImpl(SpectralFeedForwardOptions(dim)) {}
  explicit SpectralFeedForwardImpl(const SpectralFeedForwardOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input);
  torch::Tensor forward_incremental(
      const torch::Tensor& input,
      SpectralFeedForwardState& state);

  /// `W2 C`, `[D, H]`.
  torch::Tensor folded_weight() const;

  SpectralFeedForwardOptions options;
  torch::nn::Linear in_proj{nullptr}, out_proj{nullptr};
  CausalFilter filter{nullptr};
  /// g, `[H/2 + 1]`.
  torch::Tensor gain;

 private:
  void check(const torch::Tensor& input) const;
  /// f and W2.
  torch::Tensor finish(torch::Tensor hidden, const torch::Tensor& weight);
};
TORCH_MODULE(SpectralFeedForward);

} // namespace signalllm
