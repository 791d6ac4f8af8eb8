#pragma once

#include "causal_stream_block.cuh"
#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {

// One file each: they compile side by side.
#define SIGNALLLM_CAUSAL_STREAM(NAME) \
  cudaError_t NAME(const CausalStreamParams& p, Dtype type, cudaStream_t s)
SIGNALLLM_CAUSAL_STREAM(launch_analysis);
SIGNALLLM_CAUSAL_STREAM(launch_analysis_transposed);
SIGNALLLM_CAUSAL_STREAM(launch_analysis_gradient);
SIGNALLLM_CAUSAL_STREAM(launch_filter);
SIGNALLLM_CAUSAL_STREAM(launch_filter_transposed);
SIGNALLLM_CAUSAL_STREAM(launch_filter_gradient);
SIGNALLLM_CAUSAL_STREAM(launch_swt);
SIGNALLLM_CAUSAL_STREAM(launch_iswt);
#undef SIGNALLLM_CAUSAL_STREAM

} // namespace signalllm::cuda
