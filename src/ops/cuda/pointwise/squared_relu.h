#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

/// `size` neighbouring values.
struct SquaredReluParams {
  const void* input = nullptr;
  const void* grad = nullptr; // backward
  void* output = nullptr;
  int64_t size = 0;
};

cudaError_t
launch(const SquaredReluParams& params, Dtype type, cudaStream_t stream);

} // namespace signalllm::cuda
