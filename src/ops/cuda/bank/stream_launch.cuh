#pragma once

// One thread a vector of channels and segment: stream_block.cuh has the index
// mapping, stream_analysis.cuh and stream_synthesis.cuh the two walks.

#include "stream.h"

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char stream_ring[];

template <class Walk>
__global__ void __launch_bounds__(kStreamThreads, 3)
    stream_kernel(const __grid_constant__ typename Walk::Params params) {
  Walk::run(
      params,
      static_cast<int64_t>(blockIdx.x) * kStreamThreads + threadIdx.x,
      reinterpret_cast<typename Walk::Row*>(stream_ring) + threadIdx.x);
}

template <class Walk>
cudaError_t go(const typename Walk::Params& params, cudaStream_t stream) {
  constexpr int bytes = kStreamSlots * kStreamRows * kStreamThreads *
      static_cast<int>(sizeof(typename Walk::Row));
  static_assert(bytes <= 48 * 1024);
  const int64_t blocks =
      (params.threads() + kStreamThreads - 1) / kStreamThreads;
  stream_kernel<Walk>
      <<<static_cast<unsigned>(blocks), kStreamThreads, bytes, stream>>>(
          params);
  return cudaGetLastError();
}

template <template <class, int, int> class Walk, class T, int F, class Params>
cudaError_t pick_levels(const Params& p, cudaStream_t s) {
  switch (p.levels) {
    case 1:
      return go<Walk<T, F, 1>>(p, s);
    case 2:
      return go<Walk<T, F, 2>>(p, s);
    default:
      return go<Walk<T, F, 3>>(p, s);
  }
}

template <template <class, int, int> class Walk, class T, class Params>
cudaError_t pick_taps(const Params& p, cudaStream_t s) {
  switch (p.filters.taps) {
    case 2:
      return pick_levels<Walk, T, 2>(p, s);
    case 4:
      return pick_levels<Walk, T, 4>(p, s);
    case 6:
      return pick_levels<Walk, T, 6>(p, s);
    default:
      return pick_levels<Walk, T, 8>(p, s);
  }
}

template <template <class, int, int> class Walk, class Params>
cudaError_t pick_type(const Params& p, Dtype type, cudaStream_t s) {
  switch (type) {
    case Dtype::float32:
      return pick_taps<Walk, float>(p, s);
    case Dtype::float16:
      return pick_taps<Walk, __half>(p, s);
    default:
      return pick_taps<Walk, __nv_bfloat16>(p, s);
  }
}

} // namespace

} // namespace signalllm::cuda
