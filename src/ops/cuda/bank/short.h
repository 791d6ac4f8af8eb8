#pragma once

#include "ops/cuda/dtype.h"
#include "short_plan.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {

/// float32, float16 or bfloat16; a planned shape.
cudaError_t
launch(const ShortAnalysisParams& params, Dtype type, cudaStream_t s);
cudaError_t
launch(const ShortSynthesisParams& params, Dtype type, cudaStream_t s);

} // namespace signalllm::cuda
