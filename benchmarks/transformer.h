#pragma once

#include <signalllm/nn/causal_filter.h>
#include <signalllm/nn/feed_forward.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <string>

namespace signalllm::benchmarks {

/// Options for `Transformer`, the baseline.
struct TransformerOptions {
  /* implicit */ TransformerOptions(int64_t vocab_size)
      : vocab_size_(vocab_size) {}

  TORCH_ARG(int64_t, vocab_size);
  TORCH_ARG(int64_t, dim) = 128;
  TORCH_ARG(int64_t, layers) = 4;
  /// As SignalLLM's: how often the middle half of the blocks runs.
  TORCH_ARG(int64_t, passes) = 1;
  TORCH_ARG(int64_t, heads) = 4;
  /// Hidden width of the feed-forward parts; 0 means 4 `dim`.
  TORCH_ARG(int64_t, hidden) = 0;
  TORCH_ARG(Activation, activation) = Activation::SquaredRelu;
  /// Root-mean-square norm of queries and keys, a head at a time.
  TORCH_ARG(bool, qk_norm) = true;
  /// Root-mean-square norms in place of layer norms.
  TORCH_ARG(bool, rms_norm) = false;
  /// The three-tap causal filter on queries, keys and values that SignalLLM
  /// has.
  TORCH_ARG(bool, short_filter) = false;
  TORCH_ARG(double, dropout) = 0.0;
  /// -1 for as much as `dropout`.
  TORCH_ARG(double, embedding_dropout) = -1;
  TORCH_ARG(double, attention_dropout) = 0.0;
  TORCH_ARG(double, hidden_dropout) = 0.0;
  TORCH_ARG(double, token_noise) = 0.0;
  TORCH_ARG(double, embedding_std) = 0.02;
  /// As SignalLLM's: 0 for `0.7 / sqrt(dim)`.
  TORCH_ARG(double, init_std) = 0;

 public:
  /// Sets options from "name=value,name=value"; throws for what it cannot
  /// read.
  void set(const std::string& values);
};

/// Pre-norm block: rotary attention, feed-forward part.
class TransformerBlockImpl : public torch::nn::Cloneable<TransformerBlockImpl> {
 public:
  explicit TransformerBlockImpl(const TransformerOptions& options_);
  void reset() override;
  /// `rotation` `[T, head size / 2]`, complex.
  torch::Tensor forward(
      const torch::Tensor& input,
      const torch::Tensor& rotation);

  TransformerOptions options;
  torch::nn::Linear in_proj{nullptr}, out_proj{nullptr};
  torch::nn::Linear up_proj{nullptr}, down_proj{nullptr};
  torch::nn::LayerNorm layer_norms[2]{nullptr, nullptr};
  torch::Tensor rms_gains[2];
  CausalFilter filter{nullptr};

 private:
  torch::Tensor normal(int which, const torch::Tensor& x);
  torch::Tensor attend(const torch::Tensor& u, const torch::Tensor& rotation);
};
TORCH_MODULE(TransformerBlock);

/// The decoder-only transformer that SignalLLM is compared with: rotary
/// positions, fused causal attention, tied embedding, no biases in the
/// matrices.
class TransformerImpl : public torch::nn::Cloneable<TransformerImpl> {
 public:
  explicit TransformerImpl(const TransformerOptions& options_);
  void reset() override;
  /// `[B, T]` int64 to logits `[B, T, V]`.
  torch::Tensor forward(const torch::Tensor& tokens);
  int64_t num_parameters() const;

  TransformerOptions options;
  /// `[V, D]`, both ends.
  torch::Tensor embedding_weight;
  torch::nn::Dropout dropout{nullptr};
  torch::nn::ModuleList blocks{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  torch::Tensor gain; // with rms_norm
};
TORCH_MODULE(Transformer);

} // namespace signalllm::benchmarks
