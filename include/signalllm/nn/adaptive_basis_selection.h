#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/wavelet_transform.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <vector>

namespace signalllm {

/// Options for `AdaptiveBasisSelection`.
struct SIGNALLLM_API AdaptiveBasisSelectionOptions {
  /* implicit */ AdaptiveBasisSelectionOptions(int64_t channels);

  TORCH_ARG(int64_t, channels);
  /// The bases to choose from; short and long filters, to differ.
  TORCH_ARG(std::vector<std::string>, wavelets) = {"haar", "db2", "db4"};
  TORCH_ARG(int64_t, level) = 3;
  TORCH_ARG(bool, causal) = true;
};

/// What `AdaptiveBasisSelection` remembers while it generates: the inputs that
/// its filters still reach, `[B, reach, C]`.
struct SIGNALLLM_API AdaptiveBasisSelectionState {
  torch::Tensor history;
};

/// Equalizers in several wavelet bases, mixed position by position.
///
/// `y[t] = sum_b g_b[t] (W_b^-1 (w_b * W_b x))[t]`, `g[t] = softmax(G x[t])`:
/// W_b a wavelet transform, `w_b` a learned gain for every band and channel, G
/// a learned linear gate. All gains start at 1, so that every basis gives x
/// back and y = x whatever the gate says; what differs then is learned.
///
/// Shapes: `[B, T, C]` to the same.
class SIGNALLLM_API AdaptiveBasisSelectionImpl
    : public torch::nn::Cloneable<AdaptiveBasisSelectionImpl> {
 public:
  explicit AdaptiveBasisSelectionImpl(int64_t channels)
      : AdaptiveBasisSelectionImpl(AdaptiveBasisSelectionOptions(channels)) {}
  explicit AdaptiveBasisSelectionImpl(
      const AdaptiveBasisSelectionOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input);

  /// `forward` of the next T positions; an empty state stands at the start.
  /// No gradient flows through the state.
  torch::Tensor forward_incremental(
      const torch::Tensor& input,
      AdaptiveBasisSelectionState& state);

  /// g, `[B, T, bases]`.
  torch::Tensor weights(const torch::Tensor& input);

  AdaptiveBasisSelectionOptions options;
  /// One `WaveletTransform` a basis.
  torch::nn::ModuleList transforms{nullptr};
  torch::nn::Linear gate{nullptr};
  /// w, `[bases, level + 1, C]`, bands in the order of the coefficients.
  torch::Tensor gains;

 private:
  void check(const torch::Tensor& input) const;
};
TORCH_MODULE(AdaptiveBasisSelection);

} // namespace signalllm
