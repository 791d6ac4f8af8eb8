#pragma once

#include <signalllm/export.h>
#include <signalllm/nn/causal_filter.h>
#include <signalllm/nn/positional_encoding.h>
#include <signalllm/nn/swappable.h>
#include <signalllm/nn/tree_attention.h>

#include <torch/arg.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <string>

namespace signalllm {

/// Options for `WaveletAttention`.
struct SIGNALLLM_API WaveletAttentionOptions {
  WaveletAttentionOptions(int64_t dim, int64_t num_heads);

  /// Width D of input and output.
  TORCH_ARG(int64_t, dim);
  TORCH_ARG(int64_t, num_heads);
  /// Inner width D_a, a multiple of `num_heads`; 0 means `dim`.
  TORCH_ARG(int64_t, width) = 0;
  /// Filter M on queries, keys and values.
  TORCH_ARG(FilterKind, filter) = FilterKind::Wavelet;
  TORCH_ARG(std::string, wavelet) = "db2";
  /// What is learned of the wavelets' filters.
  TORCH_ARG(FilterTraining, filters) = FilterTraining::Learned;
  /// Levels of the filter bank; -1: as many as `max_length` has use for,
  /// ceil(log2((max_length - 1) / (taps - 1) + 1)).
  TORCH_ARG(int64_t, levels) = 3;
  TORCH_ARG(bool, shared_filters) = false;
  /// Rotary positions on queries and keys (the head size is then even).
  TORCH_ARG(bool, rotary) = true;
  /// Root-mean-square norm, without a gain, of every head's queries and keys
  /// before the rotation.
  TORCH_ARG(bool, qk_norm) = false;
  TORCH_ARG(int64_t, max_length) = 256;
  /// False: every position attends to all; the filters stay one-sided.
  TORCH_ARG(bool, causal) = true;
  /// W, even: beyond 2 W positions attention over a tree of the past, see
  /// `tree_attention`; 0: dense attention at any length. Only with `causal`.
  TORCH_ARG(int64_t, window) = 0;
  /// Nodes of the tree that a query opens at each level.
  TORCH_ARG(int64_t, opened) = 0;
};

/// What `WaveletAttention` remembers while it generates.
struct SIGNALLLM_API WaveletAttentionState {
  CausalFilterState filter;
  /// `[B, heads, capacity, head size]`, the first `length` rows valid.
  torch::Tensor keys, values;
  int64_t length = 0;
  /// With a window, in place of `keys` and `values`.
  TreeAttentionState tree;
};

/// A single next position as the attention of all layers needs it, computed
/// once from its number on the device, so that a step can be recorded.
struct SIGNALLLM_API NextPosition {
  /// Its number, `[1]` int64.
  torch::Tensor index;
  /// What queries (with the scale of the logits), keys and values are
  /// multiplied with, and with their halves swapped, `[3, 1, 1, 1, head size]`.
  torch::Tensor cosine, sine;
  /// Of a tree: where the position goes, `[1]`, and what it sees.
  torch::Tensor slot, bias, nodes;
  /// Of dense attention: the positions of the whole capacity that it sees, or
  /// nothing to attend to the first `length` rows only.
  torch::Tensor mask;
  /// What stays the same from position to position.
  torch::Tensor frequency, gain, offset, signed_gain;
};

/// Attention over multiresolution queries, keys and values.
///
/// `[q k v] = M(W_in u)`, `y = W_o softmax(R(q) R(k)^T / sqrt(d) + mask) v` a
/// head, M a causal wavelet filter bank that starts near the identity and R
/// the rotary positions. With a window the softmax goes over a tree of keys
/// (`tree_attention`): fine near, coarse far, O(T W log(T / W)).
///
/// Shapes: `[B, T, D]` to the same.
class SIGNALLLM_API WaveletAttentionImpl
    : public Swappable<WaveletAttentionImpl> {
 public:
  WaveletAttentionImpl(int64_t dim, int64_t num_heads)
      : WaveletAttentionImpl(WaveletAttentionOptions(dim, num_heads)) {}
  explicit WaveletAttentionImpl(const WaveletAttentionOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  virtual torch::Tensor forward(const torch::Tensor& input);

  /// `forward` of the next T positions; an empty state stands at the start.
  /// No gradient flows through the state.
  virtual torch::Tensor forward_incremental(
      const torch::Tensor& input,
      WaveletAttentionState& state);

  /// `forward_incremental` of one position, but for `advance`, which has to
  /// follow. Reads and writes tensors of `state` in place.
  virtual torch::Tensor forward_next(
      const torch::Tensor& input,
      WaveletAttentionState& state,
      const NextPosition& position);

  /// Fills in a position whose `index` is given; `fixed`: so that nothing but
  /// tensors changes until `advance` returns true.
  void locate(
      NextPosition& position,
      const WaveletAttentionState& state,
      const torch::TensorOptions& like,
      bool fixed) const;

  /// Counts positions, completes nodes and makes room for one more. True where
  /// tensors of `state` have been replaced.
  bool advance(WaveletAttentionState& state, int64_t positions) const;

  WaveletAttentionOptions options;
  torch::nn::Linear in_proj{nullptr}, out_proj{nullptr};
  CausalFilter filter{nullptr};
  SignalPositionalEncoding rotary{nullptr};

 protected:
  /// From `W_in u` `[B, T, 3 D_a]` to what `W_o` takes, `[B, T, D_a]`.
  virtual torch::Tensor mix(const torch::Tensor& projected);
  /// The attention itself, on filtered `[B, T, 3 D_a]`; appends to `state`.
  torch::Tensor attend(
      const torch::Tensor& filtered,
      WaveletAttentionState* state = nullptr);
  void print_options(std::ostream& stream) const;
};
TORCH_MODULE(WaveletAttention);

} // namespace signalllm
