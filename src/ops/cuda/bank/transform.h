#pragma once

#include "tile_kernel.h"

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <vector>

/// Multilevel transforms of tensors on the current stream.
namespace signalllm::cuda {

Dtype dtype_of(at::ScalarType type);
cudaStream_t current_stream();
Device current_device();

/// Contiguous and not initialised, like `like` but for its sizes; not through
/// the dispatcher, whose share of a call shows for small signals.
at::Tensor empty_like(const at::Tensor& like, at::IntArrayRef sizes);

/// Both filters in the accumulate type; keeps what it made alive.
struct FilterPair {
  at::Tensor lo, hi;
  Filters filters;

  FilterPair(
      const at::Tensor& lo,
      const at::Tensor& hi,
      at::ScalarType sum,
      bool reversed);
};

/// Sizes that the kernels' indices hold.
bool indexable(const ops::Signal& signal);
/// And filters that fit in shared memory.
bool takes(const ops::Signal& signal, int64_t taps);

/// Analysis of `input` [batch, lengths[0], inner] (contiguous, `type` or the
/// accumulate type) into details[l - 1] for level l and `approximation`, whose
/// rows beyond lengths.back() become zero.
void analyse(
    const at::Tensor& input,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    const std::vector<at::Tensor>& details,
    at::Tensor& approximation);

/// Synthesis into `output` [batch, lengths[0], inner].
void synthesise(
    const at::Tensor& approximation,
    const std::vector<at::Tensor>& details,
    const ops::Signal& signal,
    const Bank& bank,
    const FilterPair& filters,
    const std::vector<int64_t>& lengths,
    at::Tensor& output);

} // namespace signalllm::cuda
