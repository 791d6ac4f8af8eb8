#pragma once

#include "causal_step.cuh"
#include "causal_stream.cuh"
#include "ops/cuda/bank/tile_kernel.h"

namespace signalllm::cuda {

cudaError_t
launch(const CausalStep& step, const TileKernel& kernel, cudaStream_t s);

/// float32, float16 and bfloat16 only.
cudaError_t
launch(const CausalStreamParams& params, Dtype type, cudaStream_t s);

/// How many of the steps with these dilations one launch of the stream takes,
/// the first ones, or in a transpose the last, where a multiprocessor has
/// `shared_bytes`. Fills its rings and segments; kind, filters, length, batch
/// and channels are set.
int plan_causal_stream(
    const int64_t* dilations,
    int count,
    int multiprocessors,
    int shared_bytes,
    CausalStreamParams& params);

} // namespace signalllm::cuda
