#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <vector>

namespace signalllm {

/// What `CausalFilter` computes.
enum class FilterKind {
  /// Nothing: the input itself.
  None,
  /// A few taps a channel.
  Short,
  /// A multiresolution (a-trous wavelet) filter bank with a read-out.
  Wavelet,
};

/// "none", "short", "wavelet".
SIGNALLLM_API const char* to_string(FilterKind kind);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API FilterKind parse_filter_kind(const std::string& name);

/// What training does to the filters of wavelets (`FilterKind::Wavelet`); the
/// read-out of the bands is learned in any case.
enum class FilterTraining {
  /// Nothing: the filters are buffers. Any wavelet will do.
  Fixed,
  /// A bank of its own for every channel, by its lattice angles: orthonormal,
  /// but with time no wavelet, since the angles' sum is free.
  Learned,
  /// One bank for all channels, by lattice angles whose sum stays what it is at
  /// the start: a wavelet remains one (the low-pass has gain sqrt(2) at
  /// frequency 0, the high-pass none) and reconstructs after every step. A
  /// single angle, which that would pin, is free.
  Lattice,
};

/// "fixed", "learned", "lattice".
SIGNALLLM_API const char* to_string(FilterTraining training);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API FilterTraining parse_filter_training(const std::string& name);

/// Options for `CausalFilter`.
struct SIGNALLLM_API CausalFilterOptions {
  /* implicit */ CausalFilterOptions(int64_t channels);

  TORCH_ARG(int64_t, channels);
  TORCH_ARG(FilterKind, kind) = FilterKind::Short;
  /// `Short`: number of taps.
  TORCH_ARG(int64_t, taps) = 3;
  /// `Short`: standard deviation around the identity at the start.
  TORCH_ARG(double, noise) = 0.05;
  /// `Wavelet`: the start, or one for each level, see `wavelets_of_levels`;
  /// orthogonal unless `filters` is `Fixed`.
  TORCH_ARG(std::string, wavelet) = "db2";
  /// `Wavelet`: levels J >= 0.
  TORCH_ARG(int64_t, levels) = 3;
  /// `Wavelet`: what is learned of them.
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
  /// `Learned`: one set of angles for all channels instead of one each.
  TORCH_ARG(bool, shared) = false;
  /// `Wavelet`: standard deviation of the read-out of the bands at the start.
  TORCH_ARG(double, band_std) = 0.1;
};

/// What `CausalFilter` remembers of the past, in the dtype of accumulation and
/// written in place: of the kind short what past inputs add to the next
/// `taps - 1` outputs, followed by a zero, `[B, taps, C]`; of the kind wavelet
/// the last inputs of every level.
struct SIGNALLLM_API CausalFilterState {
  std::vector<torch::Tensor> history;
  /// What the parameters come to: they must not change meanwhile.
  std::vector<torch::Tensor> weights;
};

/// Depthwise causal filter over the sequence, the identity (nearly) at the
/// start.
///
/// `Short`: `y[t] = sum_k taps[c, k] x[t - k]`.
/// `Wavelet`: `lo_0 = x`, `hi_{j+1}[t] = sum_k h1[k] lo_j[t - 2^j k]`,
/// `lo_{j+1}` with h0, `y = w_0 x + sum_j w_j hi_j + w_{J+1} lo_J`, where
/// (h0, -h1) are the wavelet's synthesis filters, those of the angles where
/// they are learned, over sqrt(2) (DC gain 1, so deep levels do not grow),
/// perhaps others for each level. Shi, Wang and Fox, "Sequence modeling with
/// multiresolution convolutional memory", 2023.
///
/// Shapes: `[B, T, C]` to the same. Accumulates in float32 (float64 for
/// float64 input).
class SIGNALLLM_API CausalFilterImpl
    : public torch::nn::Cloneable<CausalFilterImpl> {
 public:
  explicit CausalFilterImpl(int64_t channels)
      : CausalFilterImpl(CausalFilterOptions(channels)) {}
  explicit CausalFilterImpl(const CausalFilterOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// Composed of ATen operators.
  torch::Tensor forward(const torch::Tensor& input);

  /// The same function through the fused operators.
  torch::Tensor fused(const torch::Tensor& input);

  /// `fused`, divided into `parts` of neighbouring channels.
  std::vector<torch::Tensor> fused_parts(
      const torch::Tensor& input,
      int64_t parts);

  /// The next `T` outputs of a sequence that `state` remembers; an empty state
  /// stands before its start.
  torch::Tensor forward_incremental(
      const torch::Tensor& input,
      CausalFilterState& state);

  /// `Wavelet`: (h0, h1), `[C, taps]` or `[taps]`, with banks of the levels'
  /// own `[J, C, taps]` or `[J, taps]`; DC gain 1, tap 0 the present.
  std::pair<torch::Tensor, torch::Tensor> filters(
      const torch::TensorOptions& like) const;

  CausalFilterOptions options;
  /// `Short`: `[C, taps]`.
  torch::Tensor taps;
  /// `Wavelet`: read-out `[C, J + 2]`.
  torch::Tensor bands;
  /// `Learned`: `[C, K]` (`[K]` if shared); `Lattice`: `[K]`; with banks of the
  /// levels' own `[J, ...]`. `lattice_angles()` are those of the filters.
  torch::Tensor angles;
  /// `Fixed`: the buffers h0 and h1, `[taps]` or `[J, taps]`.
  torch::Tensor low, high;

  /// `angles`, with `Lattice` shifted by one amount a level to their sum.
  torch::Tensor lattice_angles() const;

 private:
  void check(const torch::Tensor& input) const;
  torch::Tensor short_incremental(
      const torch::Tensor& x,
      CausalFilterState& state) const;
  torch::Tensor wavelet_incremental(
      const torch::Tensor& x,
      CausalFilterState& state) const;
  /// Of the wavelets, `[K]` or `[J, K]` in float64.
  torch::Tensor first_angles() const;
  bool by_level() const {
    return wavelets_.size() > 1;
  }

  std::vector<Wavelet> wavelets_; // one, or one a level
  /// `Lattice`: what the angles of each level sum to.
  std::vector<double> sums_;
};
TORCH_MODULE(CausalFilter);

} // namespace signalllm
