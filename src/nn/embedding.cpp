#include <signalllm/nn/embedding.h>

#include "nn/token_check.h"
#include "ops/long_product.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/atan2.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include <cmath>
#include <numbers>

namespace signalllm {

SpectralEmbeddingOptions::SpectralEmbeddingOptions(
    int64_t num_embeddings,
    int64_t dim)
    : num_embeddings_(num_embeddings), dim_(dim) {}

namespace {

/// The rows of F in float64.
at::Tensor fourier_basis(int64_t harmonics, int64_t dim) {
  auto options = at::TensorOptions(at::kDouble);
  auto points = at::arange(dim, options) + 0.5;
  auto k = at::arange(1, harmonics + 1, options).unsqueeze(1);
  auto angle = k * points * (2 * std::numbers::pi / dim);
  auto scale = std::sqrt(2.0 / static_cast<double>(dim));
  auto cosine = angle.cos() * scale;
  auto sine = angle.sin() * scale;
  if (2 * harmonics == dim) {
    auto flat = 1 / std::sqrt(static_cast<double>(dim));
    cosine[harmonics - 1].fill_(flat);
    sine[harmonics - 1].mul_(std::numbers::sqrt2 / 2);
  }
  return at::cat({cosine, sine});
}

} // namespace

SpectralEmbeddingImpl::SpectralEmbeddingImpl(
    const SpectralEmbeddingOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.num_embeddings() >= 1,
      "SpectralEmbedding: num_embeddings is ",
      options.num_embeddings(),
      ", it must be at least 1");
  TORCH_CHECK(
      options.dim() >= 2,
      "SpectralEmbedding: dim is ",
      options.dim(),
      ", it must be at least 2");
  if (options.harmonics() == 0) {
    options.harmonics(options.dim() / 2);
  }
  TORCH_CHECK(
      options.harmonics() >= 1 && options.harmonics() <= options.dim() / 2,
      "SpectralEmbedding: harmonics is ",
      options.harmonics(),
      ", allowed are 1 to dim / 2 = ",
      options.dim() / 2);
  reset();
}

void SpectralEmbeddingImpl::reset() {
  coefficients = register_parameter(
      "coefficients",
      torch::empty({options.num_embeddings(), 2 * options.harmonics()}));
  basis = register_buffer(
      "basis",
      fourier_basis(options.harmonics(), options.dim())
          .to(coefficients.scalar_type()));
  reset_parameters();
}

void SpectralEmbeddingImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  auto rows = static_cast<double>(2 * options.harmonics());
  auto width = static_cast<double>(options.dim());
  coefficients.normal_(0, options.std() * std::sqrt(width / rows));
}

void SpectralEmbeddingImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::SpectralEmbedding(num_embeddings="
         << options.num_embeddings() << ", dim=" << options.dim()
         << ", harmonics=" << options.harmonics() << ")";
}

torch::Tensor SpectralEmbeddingImpl::weight() const {
  return coefficients.matmul(basis);
}

torch::Tensor SpectralEmbeddingImpl::forward(const torch::Tensor& tokens) {
  TORCH_CHECK(
      tokens.scalar_type() == torch::kLong ||
          tokens.scalar_type() == torch::kInt,
      "SpectralEmbedding: tokens are ",
      tokens.scalar_type(),
      ", they must be int64 or int32");
  check_token_range(
      "SpectralEmbedding", tokens, "num_embeddings", options.num_embeddings());
  return at::embedding(weight(), tokens);
}

torch::Tensor SpectralEmbeddingImpl::logits(const torch::Tensor& hidden) {
  TORCH_CHECK(
      hidden.dim() >= 1 && hidden.size(-1) == options.dim(),
      "SpectralEmbedding::logits: hidden has shape ",
      hidden.sizes(),
      ", its last size must be dim = ",
      options.dim());
  return ops::linear(hidden, weight());
}

torch::Tensor SpectralEmbeddingImpl::amplitude() const {
  auto parts = coefficients.chunk(2, 1);
  return (parts[0].square() + parts[1].square()).sqrt();
}

torch::Tensor SpectralEmbeddingImpl::phase() const {
  auto parts = coefficients.chunk(2, 1);
  return at::atan2(parts[1], parts[0]);
}

} // namespace signalllm
