#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/embedding.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// Options for `HybridEmbedding`.
struct SIGNALLLM_API HybridEmbeddingOptions {
  HybridEmbeddingOptions(int64_t num_embeddings, int64_t dim);

  /// Number of tokens V.
  TORCH_ARG(int64_t, num_embeddings);
  /// Width D of an embedding.
  TORCH_ARG(int64_t, dim);
  /// Harmonics of the spectral part, 1..D/2; 0 means D/4: a spectral part that
  /// loses nothing would only repeat the table.
  TORCH_ARG(int64_t, harmonics) = 0;
  /// Standard deviation of an embedding's entries at the start, of the table
  /// and of the spectral part alike.
  TORCH_ARG(double, std) = 0.02;
};

/// A free table and a spectral embedding, mixed by a learned share.
///
/// `E = (1 - s) A + s C F`, s = sigmoid(m): A `[V, D]` a table, `C F` as in
/// `SpectralEmbedding`, m one number that starts at 0 (half and half). The
/// low harmonics tie neighbouring channels together, the table is free of
/// that; m says which of the two the text asks for.
///
/// Shapes: tokens `[...]` (int64) to `[..., D]`; `logits`: `[..., D]` to
/// `[..., V]`.
class SIGNALLLM_API HybridEmbeddingImpl
    : public torch::nn::Cloneable<HybridEmbeddingImpl> {
 public:
  HybridEmbeddingImpl(int64_t num_embeddings, int64_t dim)
      : HybridEmbeddingImpl(HybridEmbeddingOptions(num_embeddings, dim)) {}
  explicit HybridEmbeddingImpl(const HybridEmbeddingOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& tokens);

  /// `h E^T`, the tied head.
  torch::Tensor logits(const torch::Tensor& hidden);

  /// E `[V, D]`. Compute it once where both ends of a model use it.
  torch::Tensor weight() const;

  HybridEmbeddingOptions options;
  /// A, `[V, D]`.
  torch::Tensor table;
  /// m, a scalar.
  torch::Tensor mix;
  SpectralEmbedding spectral{nullptr};
};
TORCH_MODULE(HybridEmbedding);

} // namespace signalllm
