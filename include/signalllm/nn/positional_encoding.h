#pragma once

#include <signalllm/export.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/common.h>
#include <torch/nn/modules/container/any_value.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// How `SignalPositionalEncoding` tells positions apart.
enum class PositionKind {
  /// A learned table, added.
  Absolute,
  /// Rotation of pairs of channels by angles proportional to the position.
  Rotary,
  /// Ricker wavelets of the distance, added to the scores of attention.
  Ricker,
};

/// Options for `SignalPositionalEncoding`.
struct SIGNALLLM_API SignalPositionalEncodingOptions {
  /* implicit */ SignalPositionalEncodingOptions(int64_t dim);

  /// Width D: of the model for `Absolute`, of one head (even) for `Rotary`; the
  /// number of heads for `Ricker`.
  TORCH_ARG(int64_t, dim);
  TORCH_ARG(PositionKind, kind) = PositionKind::Absolute;
  /// Rows of the table of `Absolute`; `Rotary` takes any length.
  TORCH_ARG(int64_t, max_length) = 256;
  /// The longest wavelength is about 2 pi times this.
  TORCH_ARG(double, base) = 10000.0;
  /// Wavelets a head of `Ricker`; their widths start at 1, 2, 4, ... positions.
  TORCH_ARG(int64_t, scales) = 6;
};

/// Position as a signal.
///
/// `Absolute`: `x[t] + P[t] * m + s` with a learned table P `[max_length, D]`
/// that starts as sinusoids, modulation m and shift s `[D]`.
/// `Rotary`: channels i and i + D/2 turn by `t base^(-2i/D)`, computed in
/// float32 (float64 for float64 input) so that half types keep far positions.
///
/// `Ricker`: scores `[..., heads, T, S]` of queries t at positions `offset + t`
/// and keys s at positions s get `b_h(offset + t - s)`, `b_h(n) = sum_k w_hk
/// psi(n / e^{a_hk} - c_hk)`, `psi(u) = (1 - u^2) e^{-u^2 / 2}`: learned
/// weights w (small at the start), widths a and centres c (0 at the start).
///
/// Shapes: `[..., T, D]` to the same, `Ricker` the scores. `offset` is the
/// position of x[0].
class SIGNALLLM_API SignalPositionalEncodingImpl
    : public torch::nn::Cloneable<SignalPositionalEncodingImpl> {
 public:
  explicit SignalPositionalEncodingImpl(int64_t dim)
      : SignalPositionalEncodingImpl(SignalPositionalEncodingOptions(dim)) {}
  explicit SignalPositionalEncodingImpl(
      const SignalPositionalEncodingOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& input, int64_t offset = 0);

  /// `Absolute`: `forward` at positions `[T]` (int64) that are on the device,
  /// and only checked where indices are.
  torch::Tensor forward_at(
      const torch::Tensor& input,
      const torch::Tensor& positions) const;

  /// `Ricker`: what is added to the scores, `[heads, queries, keys]`, in
  /// float32 (float64 where the parameters are).
  torch::Tensor bias(int64_t queries, int64_t keys, int64_t offset) const;

  SignalPositionalEncodingOptions options;
  /// w, a and c `[heads, scales]` of `Ricker`, else undefined.
  torch::Tensor weights, log_widths, centres;
  /// P, m and s of `Absolute`, else undefined.
  torch::Tensor table, modulation, shift;

 protected:
  FORWARD_HAS_DEFAULT_ARGS({1, torch::nn::AnyValue(int64_t(0))})
};
TORCH_MODULE(SignalPositionalEncoding);

} // namespace signalllm
