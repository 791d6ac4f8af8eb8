#include "causal_stream_launch.cuh"
#include "causal_stream_pick.h"

namespace signalllm::cuda {

cudaError_t launch_filter_transposed(
    const CausalStreamParams& p,
    Dtype type,
    cudaStream_t s) {
  return pick_type<CausalKind::filter_transposed, false>(p, type, s);
}

} // namespace signalllm::cuda
