#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/adaptive_basis_selection.h>
#include <signalllm/nn/block.h>
#include <signalllm/nn/embedding.h>
#include <signalllm/nn/generate.h>
#include <signalllm/nn/hybrid_embedding.h>
#include <signalllm/nn/stochastic_transform.h>

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace signalllm {

/// What turns tokens into vectors in `SignalLLM`.
enum class EmbeddingKind {
  /// `SpectralEmbedding`.
  Spectral,
  /// `HybridEmbedding`.
  Hybrid,
};

/// "spectral", "hybrid".
SIGNALLLM_API const char* to_string(EmbeddingKind kind);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API EmbeddingKind parse_embedding_kind(const std::string& name);

/// The block that runs at each place, of `layers` blocks whose middle half runs
/// `passes` times with the same weights: of 8 blocks 0 1 (2 3 4 5) 6 7, the
/// part in brackets again and again. The middle half is that from layers / 4 to
/// layers - layers / 4, rounded down: of up to 3 blocks it is all of them.
SIGNALLLM_API std::vector<size_t> block_runs(int64_t layers, int64_t passes);

/// Options for `SignalLLM`: what has to be known to build the model again.
struct SIGNALLLM_API SignalLLMOptions {
  /* implicit */ SignalLLMOptions(int64_t vocab_size);

  TORCH_ARG(int64_t, vocab_size);
  /// Width D.
  TORCH_ARG(int64_t, dim) = 128;
  TORCH_ARG(int64_t, layers) = 4;
  /// How often the middle half of the blocks runs, see `block_runs`: more
  /// computation with the same parameters.
  TORCH_ARG(int64_t, passes) = 1;
  /// Head size is `dim / heads`.
  TORCH_ARG(int64_t, heads) = 4;
  /// Share of every block's width that attends; the rest is convolved.
  TORCH_ARG(double, attention_fraction) = 0.5;
  /// Length of the training windows: the unit of time of the Fourier kernels.
  TORCH_ARG(int64_t, max_length) = 256;
  /// After the mixers and the feed-forward parts.
  TORCH_ARG(double, dropout) = 0.0;
  /// After the embedding, -1 for as much as `dropout`.
  TORCH_ARG(double, embedding_dropout) = -1;
  /// Inside the mixers and the feed-forward parts, see
  /// `WaveletTransformerBlock`.
  TORCH_ARG(double, mixer_dropout) = 0.0;
  TORCH_ARG(double, hidden_dropout) = 0.0;
  /// In training, the share of tokens that others take the place of, at random.
  TORCH_ARG(double, token_noise) = 0.0;
  TORCH_ARG(int64_t, ffn_multiple) = 4;
  /// Rotary positions in the attention.
  TORCH_ARG(bool, rotary) = true;
  /// Queries and keys of the attention normalised, see `WaveletAttention`; not
  /// said ("auto"), true where the attention has it. A model's own `options`
  /// say which.
  TORCH_ARG(std::optional<bool>, qk_norm);
  /// Ricker relative positions in the attention, only with
  /// `AttentionKind::Frequency`.
  TORCH_ARG(bool, ricker) = false;
  /// The attention's window (0: dense) and the nodes that a query opens, see
  /// `tree_attention`; only with `AttentionKind::Wavelet`, as
  /// `attention_filter`.
  TORCH_ARG(int64_t, window) = 0;
  TORCH_ARG(int64_t, opened) = 0;
  /// A learned table of positions added to the embedding; limits sequences to
  /// `max_length`.
  TORCH_ARG(bool, absolute_positions) = false;
  TORCH_ARG(EmbeddingKind, embedding) = EmbeddingKind::Spectral;
  /// Harmonics of the embedding; 0 for `dim / 2`, or `dim / 4` of `Hybrid`.
  TORCH_ARG(int64_t, harmonics) = 0;
  /// Share of the embedded text's wavelet details kept in training, see
  /// `StochasticTransform`; 1 keeps all.
  TORCH_ARG(double, stochastic_keep) = 1.0;
  /// `AdaptiveBasisSelection` between the embedding and the blocks.
  TORCH_ARG(bool, adaptive_basis) = false;
  TORCH_ARG(AttentionKind, attention) = AttentionKind::Wavelet;
  TORCH_ARG(FilterKind, attention_filter) = FilterKind::Short;
  TORCH_ARG(FilterKind, fourier_filter) = FilterKind::Short;
  /// Of all parts whose filter is one of wavelets: a name, or one for each
  /// level, see `wavelets_of_levels`.
  TORCH_ARG(std::string, wavelet) = "db2";
  /// Levels of the wavelet filters, -1 as many as `max_length` has use for.
  TORCH_ARG(int64_t, levels) = 3;
  /// What is learned of their filters.
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
  /// Harmonics of a Fourier kernel.
  TORCH_ARG(int64_t, terms) = 16;
  /// The norm on the Fourier branch, see `FourierConvolutionAttention`.
  TORCH_ARG(bool, fourier_norm) = true;
  /// Its frequencies, likewise.
  TORCH_ARG(bool, constant_q) = true;
  TORCH_ARG(SpectralKind, feed_forward) = SpectralKind::Channel;
  TORCH_ARG(Activation, activation) = Activation::SquaredRelu;
  /// Standard deviation of the embedding at the start.
  TORCH_ARG(double, embedding_std) = 0.02;
  /// Standard deviation of the weights at the start, 0 for `0.7 / sqrt(dim)`;
  /// over `sqrt(2 n)` for those that write into the residual stream, of n runs
  /// of a block.
  TORCH_ARG(double, init_std) = 0;

 public:
  /// Every option by name, as text that `parse` reads back to the same value.
  std::map<std::string, std::string> describe() const;
  /// Inverse of `describe`; missing keys but `vocab_size` keep their defaults.
  /// Throws for a key that is unknown, naming the nearest one, and for a value
  /// that cannot be read.
  static SignalLLMOptions parse(
      const std::map<std::string, std::string>& values);
};

/// What a `SignalLLM` remembers of a sequence while it generates. It holds
/// tensors derived from the weights, which must not change meanwhile. A copy
/// shares its tensors, which are written in place: only one can go on.
struct SIGNALLLM_API SignalLLMState {
  int64_t batch = 0;
  /// Positions seen.
  int64_t length = 0;
  torch::Tensor embedding;
  AdaptiveBasisSelectionState adaptive_basis;
  /// One for each of the `block_runs`.
  std::vector<WaveletTransformerBlockState> blocks;
  NextPosition next;

  /// Bytes that it takes to go on, without what the weights come to and the
  /// spare room of caches.
  int64_t bytes() const;
};

/// Causal language model of signal-processing parts.
///
/// `x = E[tokens]`, the blocks (the middle ones `passes` times), `logits =
/// LN(x) E^T` with the tied spectral or hybrid embedding E; between embedding
/// and blocks, where asked for, learned positions, dropout,
/// `StochasticTransform` and `AdaptiveBasisSelection`.
class SIGNALLLM_API SignalLLMImpl : public torch::nn::Cloneable<SignalLLMImpl> {
 public:
  explicit SignalLLMImpl(const SignalLLMOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// `[B, T]` int64 to logits `[B, T, V]`; those at t depend on tokens 0..t.
  torch::Tensor forward(const torch::Tensor& tokens);

  /// `LN(x)` `[B, T, D]`, what the head takes.
  torch::Tensor hidden(const torch::Tensor& tokens);

  /// E `[V, D]`, of whichever embedding there is.
  torch::Tensor embedding_weight() const;

  /// A state at the start of `batch` sequences.
  SignalLLMState make_state(int64_t batch);

  /// `forward` of the next t tokens `[B, t]` of the sequences in `state`.
  /// No gradient flows through the state.
  torch::Tensor forward_incremental(
      const torch::Tensor& tokens,
      SignalLLMState& state);

  /// Continues `prompt` `[B, T]`, T >= 1, to `[B, T + new]`, in eval mode and
  /// without gradients, through a `Decoder`. `on_token` gets every new `[B]`;
  /// false ends it.
  torch::Tensor generate(
      const torch::Tensor& prompt,
      const GenerateOptions& generate_options = {},
      const std::function<bool(const torch::Tensor& next)>& on_token = {});

  /// Continues prompts `[T_i]` of any lengths >= 1 side by side, each to
  /// `[T_i + new]`: what the shortest has is read at once, then one token a
  /// step of all, of the prompt or drawn; `on_token` gets those.
  std::vector<torch::Tensor> generate(
      const std::vector<torch::Tensor>& prompts,
      const GenerateOptions& generate_options = {},
      const std::function<bool(const torch::Tensor& next)>& on_token = {});

  /// Whether single positions go through tensors of fixed places alone, so
  /// that a `Decoder` can record them: with wavelet attention or none, without
  /// `adaptive_basis`.
  bool has_fixed_step() const;

  /// Scalars to train.
  int64_t num_parameters() const;

  /// The parameters that weight decay is for: the matrices, not the filters,
  /// kernels, gains and norms.
  std::vector<torch::Tensor> decayed_parameters() const;

  SignalLLMOptions options;
  /// Those not asked for are null.
  SpectralEmbedding embedding{nullptr};
  HybridEmbedding hybrid_embedding{nullptr};
  SignalPositionalEncoding positions{nullptr};
  torch::nn::Dropout dropout{nullptr};
  StochasticTransform stochastic{nullptr};
  AdaptiveBasisSelection adaptive_basis{nullptr};
  torch::nn::ModuleList blocks{nullptr};
  torch::nn::LayerNorm norm{nullptr};

 private:
  friend class Decoder;
  /// The options' `block_runs`.
  std::vector<size_t> runs() const;
  torch::Tensor hidden(const torch::Tensor& tokens, const torch::Tensor& table);
  /// `LN(x)` of the next tokens, what the head takes.
  torch::Tensor hidden_incremental(
      const torch::Tensor& tokens,
      SignalLLMState& state);
  /// But for the counting, of a single position where there is one.
  torch::Tensor hidden_incremental(
      const torch::Tensor& tokens,
      SignalLLMState& state,
      const NextPosition* next);
  /// Logits `[B, V]` of the next tokens `[B, 1]`: changes nothing but tensors,
  /// in place after the first time; `advance` has to follow.
  torch::Tensor
  step(const torch::Tensor& tokens, SignalLLMState& state, bool fixed);
  /// True where tensors of the state have been replaced.
  bool advance(SignalLLMState& state, int64_t count) const;
  /// Continues rows of which some are longer than `shortest`: as far as
  /// `given` says their tokens are theirs.
  torch::Tensor continued(
      const torch::Tensor& prompts,
      const torch::Tensor& given,
      int64_t shortest,
      const GenerateOptions& generate_options,
      const std::function<bool(const torch::Tensor& next)>& on_token);
  void check_state(
      const char* function,
      const torch::Tensor& tokens,
      const SignalLLMState& state) const;
  /// `tokens`, in training with `token_noise`.
  torch::Tensor noisy(const torch::Tensor& tokens) const;
};
TORCH_MODULE(SignalLLM);

} // namespace signalllm
