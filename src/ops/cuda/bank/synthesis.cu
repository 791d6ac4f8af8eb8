// Blocks run SynthesisTile (synthesis.cuh has the index mapping): filters to
// shared memory, then level after level, coarse ones first, with a barrier
// between.

#include "synthesis.cuh"
#include "tile_launch.cuh"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char shared_memory[];

template <class Tile>
__global__ void __launch_bounds__(256, 2)
    synthesis_kernel(const __grid_constant__ SynthesisParams params) {
  const Tile tile(params, blockIdx.x, threadIdx.x, shared_memory);
  tile.prepare(threadIdx.x);
  for (int l = params.plan.levels; l > 0; --l) {
    __syncthreads();
    tile.level(l, false);
    if (tile.has_ends(l)) {
      __syncthreads();
      tile.level(l, true);
    }
  }
}

} // namespace

cudaError_t
launch(const SynthesisParams& params, const TileKernel& k, cudaStream_t s) {
  return pick_type<SynthesisTile>(k, [&]<class Tile>() {
    return launch_tiles<Tile>(synthesis_kernel<Tile>, params, s);
  });
}

} // namespace signalllm::cuda
