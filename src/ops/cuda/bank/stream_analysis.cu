#include "stream_launch.cuh"

namespace signalllm::cuda {

cudaError_t
launch(const StreamAnalysisParams& params, Dtype type, cudaStream_t s) {
  return pick_type<StreamAnalysis>(params, type, s);
}

} // namespace signalllm::cuda
