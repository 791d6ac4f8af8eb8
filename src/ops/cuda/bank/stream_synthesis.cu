#include "stream_launch.cuh"

namespace signalllm::cuda {

cudaError_t
launch(const StreamSynthesisParams& params, Dtype type, cudaStream_t s) {
  return pick_type<StreamSynthesis>(params, type, s);
}

} // namespace signalllm::cuda
