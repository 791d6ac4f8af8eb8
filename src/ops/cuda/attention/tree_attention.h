#pragma once

#include "ops/cuda/dtype.h"
#include "tree_groups.cuh"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda::tree {

/// `[batch, heads, T, d]`, d contiguous, in 16-byte steps.
struct Heads {
  void* at = nullptr;
  int64_t batch = 0, head = 0, row = 0; // strides in values
};

/// One call, forward or backward.
struct Params {
  Layout layout;
  int batch = 0, heads = 0, size = 0;
  Dtype type = Dtype::bfloat16;

  Heads query, key, value, output;
  void *key_nodes = nullptr, *value_nodes = nullptr; // [batch heads, nodes, d]
  float* logsumexp = nullptr; // [batch, heads, T]

  Heads grad, query_grad, key_grad, value_grad;
  Parts parts;
  float* means = nullptr; // [batch heads, T]: sum over d of grad output
  float *key_parts = nullptr, *value_parts = nullptr; // [.., total_rows, d]
};

/// Whether there is a kernel for heads of this size.
inline bool has_size(int64_t size) {
  return size == 32 || size == 64 || size == 96 || size == 128;
}

/// The launches for tensors of T, float, __half or __nv_bfloat16.
template <class T>
struct Launch {
  /// Bytes of shared memory that the largest kernel wants of a block.
  static int64_t shared_bytes(const Params& params);
  /// Keys and values of the levels above 0.
  static cudaError_t make_nodes(const Params& params, cudaStream_t stream);
  static cudaError_t forward(const Params& params, cudaStream_t stream);
  /// After `make_nodes`.
  static cudaError_t backward(const Params& params, cudaStream_t stream);
};

} // namespace signalllm::cuda::tree
