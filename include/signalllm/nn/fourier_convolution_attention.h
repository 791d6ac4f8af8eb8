#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/causal_filter.h>
#include <signalllm/nn/fourier_taps_cache.h>
#include <signalllm/nn/swappable.h>

#include <torch/arg.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// Options for `FourierConvolutionAttention`.
struct SIGNALLLM_API FourierConvolutionAttentionOptions {
  /* implicit */ FourierConvolutionAttentionOptions(int64_t dim);

  /// Width D of input and output.
  TORCH_ARG(int64_t, dim);
  /// Inner width D_f; 0 means `dim`.
  TORCH_ARG(int64_t, width) = 0;
  /// N, the unit of time of the kernel (not a limit on the length).
  TORCH_ARG(int64_t, max_length) = 256;
  /// Harmonics M of the kernel.
  TORCH_ARG(int64_t, terms) = 16;
  /// Standard deviation of the kernel's coefficients at the start.
  TORCH_ARG(double, coefficient_std) = 0.1;
  /// Decay rates at the start, in nats over N positions, log-spaced over the
  /// channels; `max_decay` 0 means `min_decay * N`.
  TORCH_ARG(double, min_decay) = 4.0;
  TORCH_ARG(double, max_decay) = 0.0;
  /// Channels that decay faster get proportionally higher frequencies, in
  /// octaves (a constant quality factor, as wavelets have); false gives every
  /// channel the frequencies of the slowest.
  TORCH_ARG(bool, constant_q) = true;
  /// Root-mean-square norm, without a gain, over the channels of what the
  /// gates let through: without it the product of three projections has tails
  /// that slow the training of every layer behind it.
  TORCH_ARG(bool, normalize) = true;
  /// On what the gates let through, in training.
  TORCH_ARG(double, dropout) = 0.0;
  /// Filter on q, k and v.
  TORCH_ARG(FilterKind, filter) = FilterKind::Short;
  TORCH_ARG(int64_t, taps) = 3;
  TORCH_ARG(std::string, wavelet) = "db2";
  TORCH_ARG(int64_t, levels) = 3;
  /// What is learned of the wavelets' filters.
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
  /// False: circular convolution over the whole sequence.
  TORCH_ARG(bool, causal) = true;
};

/// What `FourierConvolutionAttention` remembers while it generates.
struct SIGNALLLM_API FourierConvolutionState {
  CausalFilterState filter;
  /// The damped complex exponentials' sums, real parts and imaginary ones, `[B,
  /// 2, M + 1, D_f]`, written in place.
  torch::Tensor sums;
  /// A position's decay times the cosine `[M + 1, D_f]` and, -1 and 1 times,
  /// the sine `[2, M + 1, D_f]`; the kernel's coefficients like `sums`; the
  /// skip. They come from the parameters, which must not change meanwhile.
  torch::Tensor cosine, sine, weights, skip;
};

/// Gated long convolution with a smooth, decaying spectral kernel.
///
/// `[q k v] = S(W_in u)` with a short causal filter S,
/// `y = W_o N( q * ( K conv (k * v) + d * (k * v) ) )`, N the root-mean-square
/// norm over a position's channels (or nothing), and a channel's kernel
/// `K(t) = exp(-lambda t/N) (a_0 + sum_{m=1..M} a_m cos(pi m s t/N) + b_m
/// sin(pi m s t/N))`. With `constant_q` s is the power of two nearest to
/// lambda / min_decay as both are at the start, at least 1 and at most N/M;
/// otherwise it is 1. By FFT in O(L log L); one position at a time by the exact
/// recurrence `s_m <- exp((-lambda + i pi m s)/N) s_m + k v`, O(M) a channel.
/// (Poli et al., "Hyena hierarchy", 2023; Li et al., "What makes convolutional
/// models great on long sequence modeling?", 2022.)
///
/// Shapes: `[B, T, D]` to the same, any T. The convolution runs in float32
/// (float64 for float64 input).
class SIGNALLLM_API FourierConvolutionAttentionImpl
    : public Swappable<FourierConvolutionAttentionImpl> {
 public:
  explicit FourierConvolutionAttentionImpl(int64_t dim)
      : FourierConvolutionAttentionImpl(
            FourierConvolutionAttentionOptions(dim)) {}
  explicit FourierConvolutionAttentionImpl(
      const FourierConvolutionAttentionOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;
  void train(bool on = true) override;

  virtual torch::Tensor forward(const torch::Tensor& input);

  /// `forward` of the next T positions; an empty state stands at the start.
  /// No gradient flows through the state.
  virtual torch::Tensor forward_incremental(
      const torch::Tensor& input,
      FourierConvolutionState& state);

  /// K `[length, D_f]`, in float32 (float64 where the parameters are), by
  /// `ops::fourier_taps`. In evaluation, where no gradient is wanted, those of
  /// the last length are kept until a parameter changes or moves: they are not
  /// to be written to.
  torch::Tensor kernel(int64_t length) const;

  FourierConvolutionAttentionOptions options;
  torch::nn::Linear in_proj{nullptr}, out_proj{nullptr};
  CausalFilter filter{nullptr};
  /// `[2 M + 1, D_f]`: a_0, a_1..a_M, b_1..b_M.
  torch::Tensor kernel_terms;
  /// log lambda `[D_f]` and d `[D_f]`.
  torch::Tensor log_decay, skip;
  /// s `[D_f]`, a buffer. Powers of two, so that every dtype holds them.
  torch::Tensor frequency;

 protected:
  /// From `W_in u` `[B, T, 3 D_f]` to what `W_o` takes, `[B, T, D_f]`.
  virtual torch::Tensor mix(const torch::Tensor& projected);
  /// `q * (K conv (k v) + d k v)` by ATen's FFT.
  torch::Tensor convolve(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v) const;
  /// N above, and the dropout: `[B, T, D_f]` to the same.
  torch::Tensor normalize(const torch::Tensor& mixed) const;
  /// `convolve` for the one position that follows `state`, by the recurrence.
  torch::Tensor step(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      FourierConvolutionState& state) const;
  /// Likewise for any number of them.
  torch::Tensor recur(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      FourierConvolutionState& state) const;
  /// The largest log2 s that the options allow.
  int64_t octaves() const;
  /// Rows `[M + 1, D_f]` of every harmonic among the waves of all octaves.
  torch::Tensor rows() const;

 private:
  FourierTapsCache cache_;
};
TORCH_MODULE(FourierConvolutionAttention);

} // namespace signalllm
