#pragma once

#include "causal.cuh"
#include "launch.h"

namespace signalllm::cuda {

cudaError_t
launch(const CausalParams& params, const TileKernel& kernel, cudaStream_t s);

/// Sets steps, tiles and halos for as many of the `count` dilations as fit in
/// `capacity` rows of shared memory; at least one does.
void plan_causal(
    const int64_t* dilations,
    int count,
    const TileLimits& limits,
    CausalParams& params);

} // namespace signalllm::cuda
