#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/positional_encoding.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// Options for `FrequencyDomainAttention`.
struct SIGNALLLM_API FrequencyDomainAttentionOptions {
  FrequencyDomainAttentionOptions(int64_t dim, int64_t num_heads);

  /// Width D of input and output.
  TORCH_ARG(int64_t, dim);
  TORCH_ARG(int64_t, num_heads);
  /// Inner width D_a, a multiple of `num_heads`; 0 means `dim`.
  TORCH_ARG(int64_t, width) = 0;
  /// Taps R of the filter that the response describes, even: how far it sees.
  TORCH_ARG(int64_t, taps) = 32;
  /// Standard deviation of the response at the start.
  TORCH_ARG(double, response_std) = 0.02;
  /// Rotary positions on queries and keys (the head size is then even).
  TORCH_ARG(bool, rotary) = true;
  /// Ricker relative positions, see `SignalPositionalEncoding`.
  TORCH_ARG(bool, ricker) = false;
  /// False: circular filters and attention to all positions.
  TORCH_ARG(bool, causal) = true;
};

/// What `FrequencyDomainAttention` remembers while it generates.
struct SIGNALLLM_API FrequencyDomainAttentionState {
  /// The last R - 1 queries and keys before the filter, `[B, R - 1, 2 D_a]`.
  torch::Tensor history;
  /// `[B, heads, length, head size]`.
  torch::Tensor keys, values;
};

/// Attention whose queries and keys pass a filter learned in the frequency
/// domain.
///
/// `[q k v] = W_in u`; `x' = x + h conv x` for the channels x of q and k, with
/// `h = irfft(H)` the R taps of the response `H[f]` at the frequencies `2 pi f
/// / R`; `y = W_o softmax(R(q') R(k')^T / sqrt(d) + b + mask) v`, R the
/// rotary and b the Ricker positions, where asked for. Causal: a linear
/// convolution with taps 0..R-1; otherwise a circular one (its first T taps).
///
/// Shapes: `[B, T, D]` to the same. The filter runs in float32 (float64 for
/// float64 input).
class SIGNALLLM_API FrequencyDomainAttentionImpl
    : public torch::nn::Cloneable<FrequencyDomainAttentionImpl> {
 public:
  FrequencyDomainAttentionImpl(int64_t dim, int64_t num_heads)
      : FrequencyDomainAttentionImpl(
            FrequencyDomainAttentionOptions(dim, num_heads)) {}
  explicit FrequencyDomainAttentionImpl(
      const FrequencyDomainAttentionOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input);

  /// `forward` of the next T positions; an empty state stands at the start.
  /// No gradient flows through the state.
  torch::Tensor forward_incremental(
      const torch::Tensor& input,
      FrequencyDomainAttentionState& state);

  /// h `[R, 2 D_a]`, in float32 (float64 where the parameters are).
  torch::Tensor kernel() const;

  FrequencyDomainAttentionOptions options;
  torch::nn::Linear in_proj{nullptr}, out_proj{nullptr};
  /// Null unless asked for.
  SignalPositionalEncoding rotary{nullptr}, ricker{nullptr};
  /// H `[2, R/2 + 1, 2 D_a]`: real and imaginary parts.
  torch::Tensor response;

 private:
  void check(const torch::Tensor& input) const;
  torch::Tensor filtered(const torch::Tensor& queries_and_keys) const;
  torch::Tensor attend(
      const torch::Tensor& queries_and_keys,
      const torch::Tensor& values,
      FrequencyDomainAttentionState* state);
};
TORCH_MODULE(FrequencyDomainAttention);

} // namespace signalllm
