#pragma once

#include "causal.h"
#include "ops/cuda/bank/transform.h"

#include <ATen/core/Tensor.h>

#include <vector>

/// The causal banks of tensors on the current stream.
namespace signalllm::cuda {

/// Sums over batch and time: `[inner, taps]`, of the weights `[inner, J + 2]`.
struct CausalGradients {
  at::Tensor lo, hi, weight;
};

/// All steps of a bank: in one launch as far as the stream takes them, the
/// long dilations one by one.
struct CausalRun {
  CausalKind kind;
  const ops::Signal& signal;
  const FilterPair& filters;
  at::ScalarType type;
  std::vector<int64_t> dilations; // in the order of the steps
  std::vector<at::Tensor> details = {}; // likewise
  at::Tensor weight = {}; // [channels or 1, J + 2] in the accumulate type
  at::Tensor source = {}; // the filters' input or gradient
  double scale = 1; // of swt's and iswt's taps

  /// From `input` into `out`; the states after each step where asked for.
  void operator()(
      at::Tensor input,
      at::Tensor& out,
      std::vector<at::Tensor>* states = nullptr) const;

  /// The transpose from `input` into `out`, where defined, and the gradients of
  /// the filters, in the same pass as far as the stream takes the steps;
  /// `states` are those that the steps lead to.
  CausalGradients gradients(
      const at::Tensor& input,
      at::Tensor& out,
      const std::vector<at::Tensor>& states) const;

 private:
  /// What one launch hands to the next.
  struct Flow {
    at::Tensor input, partial; // the state, a filter's sum so far
    at::Tensor& out;
    std::vector<at::Tensor>* states;
  };

  int total() const;
  at::Tensor scratch() const;
  bool aligned_in(int channels, const at::Tensor& a, const at::Tensor& b) const;
  int weight_index(int i) const;
  /// Plans the stream; how many steps it takes.
  int plan(const at::Tensor& a, const at::Tensor& b, CausalStreamParams& p)
      const;
  template <class Params>
  void weigh(Params& p) const;
  void stream(CausalStreamParams& p, int begin, Flow& flow) const;
  void step(int i, Flow& flow) const;
  void add_step(
      int i,
      const at::Tensor& input,
      const at::Tensor& state,
      CausalGradients& to) const;
};

/// 1, 2, 4, ... for the levels, or backwards.
std::vector<int64_t> causal_dilations(int64_t levels, bool backwards);

std::vector<at::Tensor> contiguous(at::TensorList tensors);

/// Sizes that the kernels' indices hold, and something to do.
bool takes_causal(const ops::Signal& s);

/// x and the states that follow it, one for each step but the last.
std::vector<at::Tensor> causal_states(
    const at::Tensor& x,
    const ops::Signal& s,
    const FilterPair& f,
    int64_t levels);

} // namespace signalllm::cuda
