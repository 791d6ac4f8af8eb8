#pragma once

// Blocks run CausalStream: chunk after chunk, step after step, with a barrier
// before each.

#include "causal_stream.cuh"
#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {
namespace {

extern __shared__ __align__(16) unsigned char causal_memory[];

template <class Stream, bool Gradient, int Blocks>
__global__ void __launch_bounds__(kCausalThreads, Blocks)
    causal_stream_kernel(const __grid_constant__ CausalStreamParams params) {
  Stream stream(params, blockIdx.x, threadIdx.x, causal_memory);
  stream.prepare();
  const int chunks = stream.chunks();
  __syncthreads();
#pragma unroll 1
  for (int c = 0; c < chunks; ++c) {
    stream.begin(c);
#pragma unroll 1
    for (int i = 0; i < params.steps; ++i) {
      __syncthreads();
      stream.step(i, c);
    }
    if (Stream::closes(params)) {
      __syncthreads();
    }
  }
  if constexpr (Gradient) {
    __syncthreads();
    stream.keep_sums();
    __syncthreads();
    stream.write_sums(blockIdx.x);
  }
}

template <class T, int K, CausalKind Kind, bool Gradient>
cudaError_t go(const CausalStreamParams& p, cudaStream_t stream) {
  using Stream = CausalStream<T, K, Kind, Gradient>;
  const auto kernel =
      causal_stream_kernel<Stream, Gradient, causal_blocks(Kind, K, Gradient)>;
  const auto bytes = static_cast<size_t>(Stream::shared_bytes(p));
  if (bytes > 48 * 1024) {
    const auto error = cudaFuncSetAttribute(
        kernel,
        cudaFuncAttributeMaxDynamicSharedMemorySize,
        static_cast<int>(bytes));
    if (error != cudaSuccess) {
      return error;
    }
  }
  kernel<<<p.blocks(), kCausalThreads, bytes, stream>>>(p);
  return cudaGetLastError();
}

template <class T, CausalKind Kind, bool Gradient>
cudaError_t pick_taps(const CausalStreamParams& p, cudaStream_t s) {
  switch ((p.filters.taps + 1) / 2) {
    case 1:
      return go<T, 2, Kind, Gradient>(p, s);
    case 2:
      return go<T, 4, Kind, Gradient>(p, s);
    case 3:
      return go<T, 6, Kind, Gradient>(p, s);
    default:
      return go<T, 8, Kind, Gradient>(p, s);
  }
}

template <CausalKind Kind, bool Gradient>
cudaError_t pick_type(const CausalStreamParams& p, Dtype type, cudaStream_t s) {
  switch (type) {
    case Dtype::float32:
      return pick_taps<float, Kind, Gradient>(p, s);
    case Dtype::float16:
      return pick_taps<__half, Kind, Gradient>(p, s);
    default:
      return pick_taps<__nv_bfloat16, Kind, Gradient>(p, s);
  }
}

} // namespace
} // namespace signalllm::cuda
