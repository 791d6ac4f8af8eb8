#include <signalllm/nn/hybrid_embedding.h>

#include "ops/long_product.h"

#include <ATen/ops/embedding.h>

#include <algorithm>

namespace signalllm {

HybridEmbeddingOptions::HybridEmbeddingOptions(
    int64_t num_embeddings,
    int64_t dim)
    : num_embeddings_(num_embeddings), dim_(dim) {}

HybridEmbeddingImpl::HybridEmbeddingImpl(const HybridEmbeddingOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.num_embeddings() >= 1 && options.dim() >= 2,
      "HybridEmbedding: num_embeddings is ",
      options.num_embeddings(),
      " and dim ",
      options.dim(),
      ", they must be at least 1 and 2");
  if (options.harmonics() == 0) {
    options.harmonics(std::max<int64_t>(1, options.dim() / 4));
  }
  TORCH_CHECK(
      options.harmonics() >= 1 && options.harmonics() <= options.dim() / 2,
      "HybridEmbedding: harmonics is ",
      options.harmonics(),
      ", allowed are 1 to dim / 2 = ",
      options.dim() / 2);
  reset();
}

void HybridEmbeddingImpl::reset() {
  table = register_parameter(
      "table", torch::empty({options.num_embeddings(), options.dim()}));
  mix = register_parameter("mix", torch::zeros({}));
  spectral = register_module(
      "spectral",
      SpectralEmbedding(
          SpectralEmbeddingOptions(options.num_embeddings(), options.dim())
              .harmonics(options.harmonics())
              .std(options.std())));
  reset_parameters();
}

void HybridEmbeddingImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  table.normal_(0, options.std());
  mix.zero_();
  spectral->reset_parameters();
}

void HybridEmbeddingImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::HybridEmbedding(num_embeddings="
         << options.num_embeddings() << ", dim=" << options.dim()
         << ", harmonics=" << options.harmonics() << ")";
}

torch::Tensor HybridEmbeddingImpl::weight() const {
  return table.lerp(spectral->weight(), mix.sigmoid());
}

torch::Tensor HybridEmbeddingImpl::forward(const torch::Tensor& tokens) {
  return at::embedding(weight(), tokens);
}

torch::Tensor HybridEmbeddingImpl::logits(const torch::Tensor& hidden) {
  TORCH_CHECK(
      hidden.dim() >= 1 && hidden.size(-1) == options.dim(),
      "HybridEmbedding::logits: hidden has shape ",
      hidden.sizes(),
      ", its last size must be dim = ",
      options.dim());
  return ops::linear(hidden, weight());
}

} // namespace signalllm
