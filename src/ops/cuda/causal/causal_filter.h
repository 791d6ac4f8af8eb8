#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

/// Signals `[batch, length, channels]`, contiguous, channels a multiple of 16
/// bytes; taps float `[channels, count]`. The filter's output (backward: its
/// gradient) is `[channels / width, batch, length, width]`.
struct CausalFilterParams {
  const void* input = nullptr; // backward: the gradient of the output
  const float* taps = nullptr;
  void* output = nullptr; // backward: the gradient of the input
  /// Backward: the filter's input, and a share `[batch, chunks, count,
  /// channels]` of the taps' gradient from each chunk.
  const void* signal = nullptr;
  float* shares = nullptr;
  int64_t batch = 1;
  int length = 1, channels = 1, width = 1, count = 1;
};

inline constexpr int kCausalFilterTaps = 4; // at most
inline constexpr int kCausalFilterRows = 64; // of a chunk

cudaError_t
launch(const CausalFilterParams& params, Dtype type, cudaStream_t stream);

} // namespace signalllm::cuda
