// Blocks run CausalStepTile (causal_step.cuh): filters to shared memory, then
// the rows.

#include "causal.h"
#include "causal_stream_pick.h"
#include "ops/cuda/bank/tile_launch.cuh"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char shared_memory[];

template <class Tile>
__global__ void __launch_bounds__(256, 2)
    causal_step_kernel(const __grid_constant__ CausalStep params) {
  const Tile tile(params, blockIdx.x, threadIdx.x, shared_memory);
  tile.prepare(threadIdx.x);
  __syncthreads();
  tile.run();
}

template <class T>
cudaError_t
launch_type(const CausalStep& p, const TileKernel& k, cudaStream_t stream) {
  constexpr int V = 16 / sizeof(T);
  const auto go = [&]<class Tile>() {
    return launch_blocks<Tile>(
        causal_step_kernel<Tile>,
        p,
        p.shape.batch * p.tiles * p.shape.channel_tiles,
        stream);
  };
  if (k.vectors) {
    return k.per_channel
        ? go.template operator()<CausalStepTile<T, V, true>>()
        : go.template operator()<CausalStepTile<T, V, false>>();
  }
  return k.per_channel ? go.template operator()<CausalStepTile<T, 1, true>>()
                       : go.template operator()<CausalStepTile<T, 1, false>>();
}

} // namespace

cudaError_t
launch(const CausalStep& p, const TileKernel& k, cudaStream_t stream) {
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

cudaError_t launch(const CausalStreamParams& p, Dtype type, cudaStream_t s) {
  switch (p.kind) {
    case CausalKind::analysis:
      return launch_analysis(p, type, s);
    case CausalKind::analysis_transposed:
      return (
          p.gradient ? launch_analysis_gradient
                     : launch_analysis_transposed)(p, type, s);
    case CausalKind::swt:
      return launch_swt(p, type, s);
    case CausalKind::iswt:
      return launch_iswt(p, type, s);
    case CausalKind::filter:
      return launch_filter(p, type, s);
    default:
      return (p.gradient ? launch_filter_gradient : launch_filter_transposed)(
          p, type, s);
  }
}

} // namespace signalllm::cuda
