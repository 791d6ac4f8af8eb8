#pragma once

#include "ops/cuda/dtype.h"
#include "stream_plan.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {

/// float32, float16 or bfloat16; a planned shape.
cudaError_t
launch(const StreamAnalysisParams& params, Dtype type, cudaStream_t s);
cudaError_t
launch(const StreamSynthesisParams& params, Dtype type, cudaStream_t s);

} // namespace signalllm::cuda
