#include "causal_stream_launch.cuh"
#include "causal_stream_pick.h"

namespace signalllm::cuda {

cudaError_t launch_analysis_gradient(
    const CausalStreamParams& p,
    Dtype type,
    cudaStream_t s) {
  return pick_type<CausalKind::analysis_transposed, true>(p, type, s);
}

} // namespace signalllm::cuda
