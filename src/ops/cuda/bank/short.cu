// A block a tile: short_block.cuh has the index mapping, short_analysis.cuh and
// short_synthesis.cuh what happens between the barriers.

#include "short.h"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char short_rows[];

template <class T, int F>
__global__ void __launch_bounds__(kShortThreads)
    short_kernel(const __grid_constant__ ShortAnalysisParams params) {
  const ShortAnalysis<T, F> tile(
      params,
      {static_cast<int>(blockIdx.y),
       static_cast<int>(blockIdx.z),
       static_cast<int>(threadIdx.x)},
      blockIdx.x,
      reinterpret_cast<float*>(short_rows));
  tile.load();
#pragma unroll 1
  for (int l = 0;;) {
    if (tile.extends(l)) {
      __syncthreads();
      tile.extend(l);
    }
    if (++l > params.levels) {
      break;
    }
    __syncthreads();
    tile.level(l);
  }
}

template <class T, int F>
__global__ void __launch_bounds__(kShortThreads)
    short_kernel(const __grid_constant__ ShortSynthesisParams params) {
  const ShortSynthesis<T, F> tile(
      params,
      {static_cast<int>(blockIdx.y),
       static_cast<int>(blockIdx.z),
       static_cast<int>(threadIdx.x)},
      blockIdx.x,
      reinterpret_cast<float*>(short_rows));
  tile.load();
#pragma unroll 1
  for (int l = params.levels; l > 0; --l) {
    __syncthreads();
    tile.level(l);
    if (tile.has_ends()) {
      __syncthreads();
      tile.fold(l);
    }
  }
}

template <class T, int F, class Params>
cudaError_t go(const Params& params, cudaStream_t stream) {
  void (*kernel)(Params) = short_kernel<T, F>;
  const int bytes = params.shared_bytes();
  if (bytes > 48 * 1024) {
    const auto error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess) {
      return error;
    }
  }
  const dim3 blocks(params.channel_tiles, params.tiles, params.batch);
  kernel<<<blocks, kShortThreads, bytes, stream>>>(params);
  return cudaGetLastError();
}

template <class T, class Params>
cudaError_t pick_taps(const Params& p, cudaStream_t s) {
  switch (p.filters.taps) {
    case 2:
      return go<T, 2>(p, s);
    case 4:
      return go<T, 4>(p, s);
    case 6:
      return go<T, 6>(p, s);
    default:
      return go<T, 8>(p, s);
  }
}

template <class Params>
cudaError_t pick_type(const Params& p, Dtype type, cudaStream_t s) {
  switch (type) {
    case Dtype::float32:
      return pick_taps<float>(p, s);
    case Dtype::float16:
      return pick_taps<__half>(p, s);
    default:
      return pick_taps<__nv_bfloat16>(p, s);
  }
}

} // namespace

cudaError_t
launch(const ShortAnalysisParams& params, Dtype type, cudaStream_t s) {
  return pick_type(params, type, s);
}

cudaError_t
launch(const ShortSynthesisParams& params, Dtype type, cudaStream_t s) {
  return pick_type(params, type, s);
}

} // namespace signalllm::cuda
