#pragma once

#include "causal.h"
#include "transform.h"

#include <ATen/core/Tensor.h>

#include <vector>

/// The causal banks of tensors on the current stream.
namespace signalllm::cuda {

/// All steps of a bank: in one launch as far as the stream takes them, the
/// long dilations one by one.
struct CausalRun {
  CausalKind kind;
  const ops::Signal& signal;
  const FilterPair& filters;
  at::ScalarType type;
  std::vector<int64_t> dilations; // in the order of the steps
  std::vector<at::Tensor> details; // likewise
  at::Tensor weight; // [channels or 1, J + 2] in the accumulate type
  at::Tensor source; // the filters' input or gradient
  double scale = 1; // of swt's and iswt's taps

  /// From `input` into `out`; the states after each step where asked for.
  void operator()(
      at::Tensor input,
      at::Tensor& out,
      std::vector<at::Tensor>* states = nullptr) const;

  /// The transpose from `input` into `out`, where defined, and in the same pass
  /// the sums over time of the filters' gradients, [CausalStream::sums, inner];
  /// `states` are those that the steps lead to. Undefined where the stream does
  /// not take all steps.
  at::Tensor gradient(
      const at::Tensor& input,
      at::Tensor& out,
      const std::vector<at::Tensor>& states) const;

 private:
  struct Flow; // what one launch hands to the next

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

/// Gradient of one dilated filter, `[1 or 2, inner, taps]`.
at::Tensor tap_sums(
    const at::Tensor& g0,
    const at::Tensor& g1,
    const at::Tensor& x,
    at::ScalarType type,
    int64_t taps,
    const ops::Signal& s,
    int64_t dilation);

/// `[inner, count]` of the sums `[rows, inner]` from row `begin` on.
inline at::Tensor
columns(const at::Tensor& sums, int64_t begin, int64_t count) {
  return sums.narrow(0, begin, count).t();
}

} // namespace signalllm::cuda
