#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

inline constexpr int kHeadsPairs = 256; // of channels of a head, at most

/// A tensor of heads `[B, H, T, d]`, strides in elements, d's 1.
struct HeadsOf {
  void* data = nullptr;
  int64_t batch = 0, head = 0, row = 0;
};

/// Positions `[B, T]` with 3 H heads of `width` channels each in `input`, the
/// projection, and of H in each of `parts`, queries, keys and values. Backward
/// `parts` are their gradients and `grad` that of the projection, contiguous;
/// the projection is needed where `normed`.
struct AttentionHeadsParams {
  const void* input = nullptr;
  int64_t input_batch = 0, input_row = 0; // its strides
  HeadsOf parts[3];
  void* grad = nullptr; // backward
  int64_t batch = 1;
  int64_t offset = 0;
  int length = 1, heads = 1, width = 2;
  int vector = 1; // channels of an access: 1, 2, 4 or 8
  bool turned = false, normed = false;
  float epsilon = 0;
  /// What a position turns each pair of channels by, in 2^-64 turns.
  uint64_t turns[kHeadsPairs];
};

/// Channels of an access for what every address and stride is a multiple of,
/// and whether a warp then holds a head.
int heads_vector(int64_t width, int64_t multiple, Dtype type);
bool has_heads(int64_t width, int vector);

cudaError_t
launch(const AttentionHeadsParams& params, Dtype type, cudaStream_t stream);

} // namespace signalllm::cuda
