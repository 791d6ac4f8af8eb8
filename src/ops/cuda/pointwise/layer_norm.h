#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

inline constexpr int kNormChannels = 1024; // at most, a multiple of 4

/// Rows of `channels`, contiguous and aligned to four values.
struct LayerNormParams {
  const void* input = nullptr;
  const float* weight = nullptr; // null: 1, and no bias
  const float* bias = nullptr; // forward
  const void* grad = nullptr; // backward, of the result's dtype
  /// Added to the input first, of the result's dtype: the sum goes to `sum`, of
  /// the input's. Backward the input is that sum; `sum` is its other gradient,
  /// and `branch` gets a copy of the input's gradient.
  void* branch = nullptr;
  void* sum = nullptr;
  void* output = nullptr; // backward: the input's gradient
  /// Backward, with a weight: shares `[blocks, 2, channels]` of the gradients
  /// of weight and bias.
  float* shares = nullptr;
  int64_t rows = 0;
  int channels = 4, blocks = 1;
  float epsilon = 0;
  bool centred = true; // false: the mean stays, as in `rms_norm`
};

/// Blocks of the backward kernel, which fix the order of its sums.
int layer_norm_blocks(int64_t rows, int channels, bool weighted);
/// Whether there is a kernel for these sizes from one dtype to the other.
bool has_layer_norm(int64_t rows, int64_t channels, Dtype input, Dtype output);

cudaError_t launch(
    const LayerNormParams& params,
    Dtype input,
    Dtype output,
    cudaStream_t stream);

} // namespace signalllm::cuda
