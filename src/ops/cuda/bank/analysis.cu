// Blocks run AnalysisTile (analysis.cuh has the index mapping): filters to
// shared memory, then level after level with a barrier between.

#include "analysis.cuh"
#include "tile_launch.cuh"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char shared_memory[];

template <class Tile>
__global__ void __launch_bounds__(256, 2)
    analysis_kernel(const __grid_constant__ AnalysisParams params) {
  const Tile tile(params, blockIdx.x, threadIdx.x, shared_memory);
  tile.prepare(threadIdx.x);
  for (int l = 1; l <= params.plan.levels; ++l) {
    __syncthreads();
    tile.level(l);
  }
}

} // namespace

cudaError_t
launch(const AnalysisParams& params, const TileKernel& k, cudaStream_t s) {
  return pick_type<AnalysisTile>(k, [&]<class Tile>() {
    return launch_tiles<Tile>(analysis_kernel<Tile>, params, s);
  });
}

} // namespace signalllm::cuda
