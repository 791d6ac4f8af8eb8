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
};

/// Options for `SignalPositionalEncoding`.
struct SIGNALLLM_API SignalPositionalEncodingOptions {
  /* implicit */ SignalPositionalEncodingOptions(int64_t dim);

  /// Width D: of the model for `Absolute`, of one head (even) for `Rotary`.
  TORCH_ARG(int64_t, dim);
  TORCH_ARG(PositionKind, kind) = PositionKind::Absolute;
  /// Rows of the table of `Absolute`; `Rotary` takes any length.
  TORCH_ARG(int64_t, max_length) = 256;
  /// The longest wavelength is about 2 pi times this.
  TORCH_ARG(double, base) = 10000.0;
};

/// Position as a signal.
///
/// `Absolute`: `x[t] + P[t] * m + s` with a learned table P `[max_length, D]`
/// that starts as sinusoids, modulation m and shift s `[D]`.
/// `Rotary`: channels i and i + D/2 turn by `t base^(-2i/D)`, computed in
/// float32 (float64 for float64 input) so that half types keep far positions.
///
/// Shapes: `[..., T, D]` to the same. `offset` is the position of x[0].
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

  SignalPositionalEncodingOptions options;
  /// P, m and s; undefined for `Rotary`.
  torch::Tensor table, modulation, shift;

 protected:
  FORWARD_HAS_DEFAULT_ARGS({1, torch::nn::AnyValue(int64_t(0))})
};
TORCH_MODULE(SignalPositionalEncoding);

} // namespace signalllm
