#pragma once

#include <signalllm/export.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// Options for `SpectralGapAnalyzer`.
struct SIGNALLLM_API SpectralGapAnalyzerOptions {
  /// Width of the similarity, in the unit of the states; 0 takes the root of
  /// the mean squared distance between the states of a sequence.
  /* implicit */ SpectralGapAnalyzerOptions(double bandwidth = 0);

  TORCH_ARG(double, bandwidth);
};

/// How well the states of a sequence hang together: the spectral gap of their
/// similarity graph.
///
/// `W_ij = exp(-|x_i - x_j|^2 / (2 s^2))` for i != j, `W_ii = 0`, normalized
/// Laplacian `L = I - D^-1/2 W D^-1/2`, D the row sums. Its smallest eigenvalue
/// is 0; the gap is the second, in [0, T/(T - 1)]: near 0 the states fall
/// into groups with little between them, `T/(T - 1)` means that all are alike
/// (F. Chung, "Spectral graph theory", 1997).
///
/// Shapes: states `[B, T, D]`, T >= 2, to `[B]`. Computed in float32 (float64
/// for float64 states); differentiable where the eigenvalues are distinct. On
/// kMPS, which has no eigenvalue solver, they are found on the CPU.
class SIGNALLLM_API SpectralGapAnalyzerImpl
    : public torch::nn::Cloneable<SpectralGapAnalyzerImpl> {
 public:
  explicit SpectralGapAnalyzerImpl(
      const SpectralGapAnalyzerOptions& options_ = {});

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& states);

  /// All eigenvalues of L, ascending, `[B, T]`.
  torch::Tensor eigenvalues(const torch::Tensor& states);

  SpectralGapAnalyzerOptions options;
};
TORCH_MODULE(SpectralGapAnalyzer);

} // namespace signalllm
