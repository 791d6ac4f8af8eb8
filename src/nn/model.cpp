#include <signalllm/nn/model.h>

#include "nn/model_tokens.h"
#include "ops/long_product.h"

#include <signalllm/wavelet.h>

#include <ATen/ops/embedding.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint_like.h>
#include <ATen/ops/where.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cmath>

namespace signalllm {

namespace {

WaveletTransformerBlockOptions block_options(const SignalLLMOptions& options) {
  return WaveletTransformerBlockOptions(options.dim(), options.heads())
      .attention_fraction(options.attention_fraction())
      .max_length(options.max_length())
      .dropout(options.dropout())
      .mixer_dropout(options.mixer_dropout())
      .hidden_dropout(options.hidden_dropout())
      .ffn_multiple(options.ffn_multiple())
      .attention(options.attention())
      .rotary(options.rotary())
      .qk_norm(options.qk_norm())
      .ricker(options.ricker())
      .window(options.window())
      .opened(options.opened())
      .attention_filter(options.attention_filter())
      .fourier_filter(options.fourier_filter())
      .wavelet(options.wavelet())
      .levels(options.levels())
      .filters(options.filters())
      .terms(options.terms())
      .fourier_norm(options.fourier_norm())
      .constant_q(options.constant_q())
      .feed_forward(options.feed_forward())
      .activation(options.activation());
}

} // namespace

SignalLLMImpl::SignalLLMImpl(const SignalLLMOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.vocab_size() >= 1 && options.layers() >= 0,
      "SignalLLM: vocab_size is ",
      options.vocab_size(),
      " and layers ",
      options.layers(),
      ", there must be a token and no negative number of layers");
  TORCH_CHECK(
      options.passes() >= 1,
      "SignalLLM: passes is ",
      options.passes(),
      ", it must be at least 1");
  wavelets_of_levels(
      options.wavelet()); // throws, also where no filter asks for it
  TORCH_CHECK(
      options.token_noise() >= 0 && options.token_noise() <= 1,
      "SignalLLM: token_noise is ",
      options.token_noise(),
      ", allowed are 0 to 1");
  options.qk_norm(block_options(options).has_qk_norm());
  reset();
}

void SignalLLMImpl::reset() {
  if (options.embedding() == EmbeddingKind::Spectral) {
    embedding = register_module(
        "embedding",
        SpectralEmbedding(
            SpectralEmbeddingOptions(options.vocab_size(), options.dim())
                .harmonics(options.harmonics())
                .std(options.embedding_std())));
  } else {
    hybrid_embedding = register_module(
        "hybrid_embedding",
        HybridEmbedding(
            HybridEmbeddingOptions(options.vocab_size(), options.dim())
                .harmonics(options.harmonics())
                .std(options.embedding_std())));
  }
  if (options.absolute_positions()) {
    positions = register_module(
        "positions",
        SignalPositionalEncoding(SignalPositionalEncodingOptions(options.dim())
                                     .max_length(options.max_length())));
  }
  dropout = register_module(
      "dropout",
      torch::nn::Dropout(
          options.embedding_dropout() < 0 ? options.dropout()
                                          : options.embedding_dropout()));
  if (options.stochastic_keep() != 1) {
    stochastic = register_module(
        "stochastic",
        StochasticTransform(
            StochasticTransformOptions(options.stochastic_keep())
                .wavelet(options.wavelet())));
  }
  if (options.adaptive_basis()) {
    adaptive_basis = register_module(
        "adaptive_basis", AdaptiveBasisSelection(options.dim()));
  }
  blocks = register_module("blocks", torch::nn::ModuleList());
  for (int64_t layer = 0; layer < options.layers(); ++layer) {
    blocks->push_back(WaveletTransformerBlock(block_options(options)));
  }
  norm = register_module(
      "norm",
      torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.dim()})));
  reset_parameters();
}

void SignalLLMImpl::reset_parameters() {
  torch::NoGradGuard no_grad;
  const auto std = options.init_std() > 0
      ? options.init_std()
      : 0.7 / std::sqrt(static_cast<double>(options.dim()));
  const auto residual =
      std / std::sqrt(2.0 * static_cast<double>(runs().size()));
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* spectral = module->as<SpectralEmbeddingImpl>()) {
      spectral->reset_parameters();
    } else if (auto* hybrid = module->as<HybridEmbeddingImpl>()) {
      hybrid->reset_parameters();
    } else if (auto* attention = module->as<WaveletAttentionImpl>()) {
      attention->reset_parameters();
    } else if (auto* frequency = module->as<FrequencyDomainAttentionImpl>()) {
      frequency->reset_parameters();
    } else if (auto* basis = module->as<AdaptiveBasisSelectionImpl>()) {
      basis->reset_parameters();
    } else if (auto* fourier = module->as<FourierConvolutionAttentionImpl>()) {
      fourier->reset_parameters();
    } else if (auto* feed_forward = module->as<SpectralFeedForwardImpl>()) {
      feed_forward->reset_parameters();
    } else if (auto* layer_norm = module->as<torch::nn::LayerNormImpl>()) {
      layer_norm->reset_parameters();
    }
  }
  for (const auto& item : named_modules({}, /*include_self=*/false)) {
    if (auto* linear = item.value()->as<torch::nn::LinearImpl>()) {
      auto writes = item.key().ends_with("out_proj");
      linear->weight.normal_(0, writes ? residual : std);
    }
  }
}

void SignalLLMImpl::pretty_print(std::ostream& stream) const {
  stream << "signalllm::SignalLLM(vocab_size=" << options.vocab_size()
         << ", dim=" << options.dim() << ", layers=" << options.layers()
         << ", heads=" << options.heads()
         << ", attention_fraction=" << options.attention_fraction()
         << ", max_length=" << options.max_length() << ")";
}

torch::Tensor SignalLLMImpl::embedding_weight() const {
  // In full precision under autocast, and with it the residual stream.
  c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  return embedding ? embedding->weight() : hybrid_embedding->weight();
}

torch::Tensor SignalLLMImpl::forward(const torch::Tensor& tokens) {
  check_tokens("SignalLLM::forward", tokens, options.vocab_size());
  // Both ends share one E; its gradient arrives from both.
  auto table = embedding_weight();
  return ops::linear(hidden(tokens, table), table);
}

torch::Tensor SignalLLMImpl::hidden(const torch::Tensor& tokens) {
  check_tokens("SignalLLM::hidden", tokens, options.vocab_size());
  return hidden(tokens, embedding_weight());
}

torch::Tensor SignalLLMImpl::hidden(
    const torch::Tensor& tokens,
    const torch::Tensor& table) {
  auto x = at::embedding(table, noisy(tokens));
  if (positions) {
    x = positions->forward(x);
  }
  x = dropout->forward(x);
  if (stochastic) {
    x = stochastic->forward(x);
  }
  if (adaptive_basis) {
    x = adaptive_basis->forward(x);
  }
  for (const auto block : runs()) {
    x = blocks->at<WaveletTransformerBlockImpl>(block).forward(x);
  }
  return norm->forward(x);
}

torch::Tensor SignalLLMImpl::noisy(const torch::Tensor& tokens) const {
  if (options.token_noise() == 0 || !is_training()) {
    return tokens;
  }
  const auto chance =
      at::rand(tokens.sizes(), tokens.options().dtype(at::kFloat));
  return at::where(
      chance < options.token_noise(),
      at::randint_like(tokens, options.vocab_size()),
      tokens);
}

int64_t SignalLLMImpl::num_parameters() const {
  int64_t count = 0;
  for (const auto& parameter : parameters()) {
    count += parameter.numel();
  }
  return count;
}

std::vector<torch::Tensor> SignalLLMImpl::decayed_parameters() const {
  std::vector<torch::Tensor> matrices;
  if (hybrid_embedding) {
    matrices = {
        hybrid_embedding->table, hybrid_embedding->spectral->coefficients};
  } else {
    matrices = {embedding->coefficients};
  }
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      matrices.push_back(linear->weight);
    }
  }
  return matrices;
}

} // namespace signalllm
