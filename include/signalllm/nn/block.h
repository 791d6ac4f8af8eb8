#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/attention.h>
#include <signalllm/nn/feed_forward.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <string>

namespace signalllm {

/// Who attends in a `WaveletTransformerBlock`.
enum class AttentionKind {
  /// `WaveletAttention`.
  Wavelet,
  /// `FrequencyDomainAttention`.
  Frequency,
};

/// "wavelet", "frequency".
SIGNALLLM_API const char* to_string(AttentionKind kind);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API AttentionKind parse_attention_kind(const std::string& name);

/// Options for `WaveletTransformerBlock`.
struct SIGNALLLM_API WaveletTransformerBlockOptions {
  WaveletTransformerBlockOptions(int64_t dim, int64_t heads);

  TORCH_ARG(int64_t, dim);
  /// Head size is `dim / heads`.
  TORCH_ARG(int64_t, heads);
  /// Share of the width that attends (rounded to whole heads); the rest is
  /// convolved. 0 and 1 leave one of the two out.
  TORCH_ARG(double, attention_fraction) = 0.5;
  TORCH_ARG(int64_t, max_length) = 256;
  /// After the mixers and the feed-forward part.
  TORCH_ARG(double, dropout) = 0.0;
  /// Inside them: on what the Fourier branch's gates let through, and on the
  /// feed-forward part's hidden channels.
  TORCH_ARG(double, mixer_dropout) = 0.0;
  TORCH_ARG(double, hidden_dropout) = 0.0;
  /// Hidden width of the feed-forward part over `dim`.
  TORCH_ARG(int64_t, ffn_multiple) = 4;
  TORCH_ARG(AttentionKind, attention) = AttentionKind::Wavelet;
  TORCH_ARG(bool, rotary) = true;
  /// Normalised queries and keys; not said, true with
  /// `AttentionKind::Wavelet`, the only one that has them.
  TORCH_ARG(std::optional<bool>, qk_norm);
  /// Ricker relative positions (`AttentionKind::Frequency`).
  TORCH_ARG(bool, ricker) = false;
  /// The attention's window and opened nodes, see `WaveletAttention`.
  TORCH_ARG(int64_t, window) = 0;
  TORCH_ARG(int64_t, opened) = 0;
  TORCH_ARG(FilterKind, attention_filter) = FilterKind::Short;
  TORCH_ARG(FilterKind, fourier_filter) = FilterKind::Short;
  /// Of all parts whose filter is one of wavelets.
  TORCH_ARG(std::string, wavelet) = "db2";
  TORCH_ARG(int64_t, levels) = 3;
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
  TORCH_ARG(int64_t, terms) = 16;
  /// The norm on the Fourier branch, see `FourierConvolutionAttention`.
  TORCH_ARG(bool, fourier_norm) = true;
  /// Its frequencies, likewise.
  TORCH_ARG(bool, constant_q) = true;
  TORCH_ARG(SpectralKind, feed_forward) = SpectralKind::Channel;
  TORCH_ARG(Activation, activation) = Activation::SquaredRelu;
  TORCH_ARG(bool, causal) = true;

 public:
  /// Width D_a of the attention, a multiple of the head size.
  int64_t attention_width() const;
  /// `qk_norm`, and what it stands for where it is not said.
  bool has_qk_norm() const;
};

/// What a block remembers while it generates.
struct SIGNALLLM_API WaveletTransformerBlockState {
  WaveletAttentionState attention;
  FrequencyDomainAttentionState frequency;
  FourierConvolutionState fourier;
  SpectralFeedForwardState feed_forward;
};

/// Pre-norm block with two mixers side by side.
///
/// `u = LN(x)`, `x += drop(Attention(u) + FourierConvolution(u))`,
/// `x += drop(SpectralFeedForward(LN(x)))`, the mixers on D_a and D - D_a
/// inner channels: together 4 D^2 weights, as a transformer's attention has.
///
/// Shapes: `[B, T, D]` to the same.
class SIGNALLLM_API WaveletTransformerBlockImpl
    : public torch::nn::Cloneable<WaveletTransformerBlockImpl> {
 public:
  WaveletTransformerBlockImpl(int64_t dim, int64_t heads)
      : WaveletTransformerBlockImpl(
            WaveletTransformerBlockOptions(dim, heads)) {}
  explicit WaveletTransformerBlockImpl(
      const WaveletTransformerBlockOptions& options_);

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input);
  torch::Tensor forward_incremental(
      const torch::Tensor& input,
      WaveletTransformerBlockState& state);

  /// One position and what has to follow it, as those of `WaveletAttention`;
  /// with an attention that has them, or with none.
  torch::Tensor forward_next(
      const torch::Tensor& input,
      WaveletTransformerBlockState& state,
      const NextPosition& position);
  bool advance(WaveletTransformerBlockState& state, int64_t positions) const;

  WaveletTransformerBlockOptions options;
  torch::nn::LayerNorm mixer_norm{nullptr}, feed_forward_norm{nullptr};
  /// Null where its share of the width is 0, and the attention that was not
  /// asked for.
  WaveletAttention attention{nullptr};
  FrequencyDomainAttention frequency{nullptr};
  FourierConvolutionAttention fourier{nullptr};
  SpectralFeedForward feed_forward{nullptr};
  torch::nn::Dropout dropout{nullptr};

 private:
  torch::Tensor continued(
      const torch::Tensor& input,
      WaveletTransformerBlockState& state,
      const NextPosition* position);
};
TORCH_MODULE(WaveletTransformerBlock);

} // namespace signalllm
