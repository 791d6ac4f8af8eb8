#pragma once

#include <signalllm/export.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// Options for `SpectralEmbedding`.
struct SIGNALLLM_API SpectralEmbeddingOptions {
  SpectralEmbeddingOptions(int64_t num_embeddings, int64_t dim);

  /// Number of tokens V.
  TORCH_ARG(int64_t, num_embeddings);
  /// Width D of an embedding.
  TORCH_ARG(int64_t, dim);
  /// Harmonics B, 1..D/2; 0 means D/2, which loses nothing.
  TORCH_ARG(int64_t, harmonics) = 0;
  /// Standard deviation of an embedding's entries at the start.
  TORCH_ARG(double, std) = 0.02;
};

/// Tokens as sums of sinusoids over the embedding axis, with the output head
/// tied to it.
///
/// `E = C F`: token v has the quadratures `C[v] = (a cos p, a sin p)` of B
/// harmonics with amplitudes a and phases p, and the rows of F `[2B, D]` are
/// `sqrt(2/D) cos(2 pi k (i + 1/2) / D)` and the sines, k = 1..B. They are
/// orthonormal: at k = D/2 the cosine vanishes on the grid, so the constant
/// `1/sqrt(D)` takes its place and the sine is halved in power.
///
/// Shapes: tokens `[...]` (int64) to `[..., D]`; `logits`: `[..., D]` to
/// `[..., V]`.
class SIGNALLLM_API SpectralEmbeddingImpl
    : public torch::nn::Cloneable<SpectralEmbeddingImpl> {
 public:
  SpectralEmbeddingImpl(int64_t num_embeddings, int64_t dim)
      : SpectralEmbeddingImpl(SpectralEmbeddingOptions(num_embeddings, dim)) {}
  explicit SpectralEmbeddingImpl(const SpectralEmbeddingOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& tokens);

  /// `h E^T`, the tied head.
  torch::Tensor logits(const torch::Tensor& hidden);

  /// E `[V, D]`. Compute it once where both ends of a model use it.
  torch::Tensor weight() const;
  /// `[V, B]`, not negative.
  torch::Tensor amplitude() const;
  /// `[V, B]`, radians in (-pi, pi].
  torch::Tensor phase() const;

  SpectralEmbeddingOptions options;
  /// C, `[V, 2B]`: the B cosine quadratures, then the B sine quadratures.
  torch::Tensor coefficients;
  /// F, `[2B, D]`, a buffer.
  torch::Tensor basis;
};
TORCH_MODULE(SpectralEmbedding);

} // namespace signalllm
