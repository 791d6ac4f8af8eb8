#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/swappable.h>
#include <signalllm/wavelet.h>

#include <torch/arg.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <string_view>
#include <vector>

namespace signalllm {

/// Options for `WaveletTransform` and `MPSWaveletTransform`.
struct SIGNALLLM_API WaveletTransformOptions {
  /* implicit */ WaveletTransformOptions(Wavelet wavelet = "db4");
  /* implicit */ WaveletTransformOptions(const char* wavelet)
      : WaveletTransformOptions(Wavelet(wavelet)) {}

  /// A name (`wavelist()`) or a bank of one's own.
  TORCH_ARG(Wavelet, wavelet);
  /// Number of levels; -1 (not causal only) means the largest useful one.
  TORCH_ARG(int64_t, level) = 3;
  /// Extension at the ends, one of `modes()`; of no effect if causal.
  TORCH_ARG(std::string, mode) = "reflect";
  /// True: coefficients at time t depend on no later input, and there are as
  /// many as inputs at every level. False: the decimated transform.
  TORCH_ARG(bool, causal) = true;
  /// Learn the filters through their lattice angles, starting at `wavelet`,
  /// which must be orthogonal; they reconstruct whatever is learned.
  TORCH_ARG(bool, learned) = false;
  /// With `learned`: one filter pair a channel (the last axis), 0 one for all.
  TORCH_ARG(int64_t, channels) = 0;
  /// The axis of time.
  TORCH_ARG(int64_t, dim) = -2;
};

/// Multilevel wavelet transform, the reference composed of ATen operators.
///
/// causal: `a_0 = x`, `a_{j+1}[t] = sum_k lo[k] a_j[t - 2^j k]`,
/// `d_{j+1} = a_j - a_{j+1}` with `lo = rec_lo / sqrt(2)` (DC gain 1); the
/// inverse is the sum of the coefficients, exact and without delay.
/// Otherwise PyWavelets' `wavedec` and `waverec`.
///
/// Shapes: `[..., L, C]` to `[cA_n, cD_n, ..., cD_1]`, each `[..., L_j, C]`.
/// Filters are rebuilt in float32 (float64 for float64 input) in every call,
/// so that `to(bfloat16)` does not round them.
class SIGNALLLM_API WaveletTransformImpl
    : public Swappable<WaveletTransformImpl> {
 public:
  WaveletTransformImpl() : WaveletTransformImpl(WaveletTransformOptions()) {}
  explicit WaveletTransformImpl(const WaveletTransformOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  virtual std::vector<torch::Tensor> forward(const torch::Tensor& input);

  /// The signal of `length` samples along `options.dim()` that `forward` took
  /// to `coefficients`.
  virtual torch::Tensor inverse(
      const std::vector<torch::Tensor>& coefficients,
      int64_t length);

  /// (dec_lo, dec_hi) and (rec_lo, rec_hi), `[taps]` or `[channels, taps]`.
  std::pair<torch::Tensor, torch::Tensor> analysis(
      const torch::TensorOptions& like) const;
  std::pair<torch::Tensor, torch::Tensor> synthesis(
      const torch::TensorOptions& like) const;

  WaveletTransformOptions options;
  /// `[K]` or `[channels, K]`; undefined unless `learned`.
  torch::Tensor angles;

 protected:
  using Waverec = torch::Tensor (*)(
      at::TensorList,
      const torch::Tensor&,
      const torch::Tensor&,
      std::string_view,
      int64_t);
  torch::Tensor invert(
      const std::vector<torch::Tensor>& coefficients,
      int64_t length,
      Waverec waverec) const;
  void print(std::ostream& stream, const char* name) const;
};
TORCH_MODULE(WaveletTransform);

/// `WaveletTransform` through the fused operators `signalllm::wavedec`,
/// `waverec` and `causal_wavedec`: the same function on kMPS, kCUDA and kCPU.
class SIGNALLLM_API MPSWaveletTransformImpl
    : public Twin<WaveletTransformImpl, MPSWaveletTransformImpl> {
 public:
  using Twin::Twin;

  void pretty_print(std::ostream& stream) const override;
  std::vector<torch::Tensor> forward(const torch::Tensor& input) override;
  torch::Tensor inverse(
      const std::vector<torch::Tensor>& coefficients,
      int64_t length) override;
};
TORCH_MODULE(MPSWaveletTransform);

} // namespace signalllm
