// Blocks run CausalTile (causal.cuh has the index mapping): filters to shared
// memory, then step after step with a barrier between.

#include "causal.h"
#include "tile_launch.cuh"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char shared_memory[];

template <class Tile>
__global__ void __launch_bounds__(256, 2)
    causal_kernel(const __grid_constant__ CausalParams params) {
  const Tile tile(params, blockIdx.x, threadIdx.x, shared_memory);
  tile.prepare(threadIdx.x);
  for (int i = 0; i < params.steps; ++i) {
    __syncthreads();
    tile.step(i);
  }
}

template <class T>
cudaError_t
launch_type(const CausalParams& p, const TileKernel& k, cudaStream_t stream) {
  constexpr int V = 16 / sizeof(T);
  const auto go = [&]<class Tile>() {
    return launch_blocks<Tile>(
        causal_kernel<Tile>,
        p,
        p.shape.batch * p.tiles * p.shape.channel_tiles,
        stream);
  };
  if (k.vectors) {
    return k.per_channel ? go.template operator()<CausalTile<T, V, true>>()
                         : go.template operator()<CausalTile<T, V, false>>();
  }
  return k.per_channel ? go.template operator()<CausalTile<T, 1, true>>()
                       : go.template operator()<CausalTile<T, 1, false>>();
}

} // namespace

cudaError_t
launch(const CausalParams& p, const TileKernel& k, cudaStream_t stream) {
  switch (k.type) {
    case Dtype::float32:
      return launch_type<float>(p, k, stream);
    case Dtype::float64:
      return launch_type<double>(p, k, stream);
    case Dtype::float16:
      return launch_type<__half>(p, k, stream);
    default:
      return launch_type<__nv_bfloat16>(p, k, stream);
  }
}

} // namespace signalllm::cuda
