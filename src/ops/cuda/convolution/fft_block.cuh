#pragma once

// Blocks of FFTs: a block of at least 256 threads holds one transform, or
// several short ones, each in its own n / 16 threads and its own part of
// shared memory.

#include "fft.cuh"
#include "fft_conv.h"

namespace signalllm::cuda {

extern __shared__ __align__(16) unsigned char fft_memory[];

template <int Log, bool Plain = false>
struct FftBlock : Fft<Log, Plain> {
  using Transform = Fft<Log, Plain>;
  using Transform::passes;
  using Transform::threads;
  static constexpr int block = threads < 256 ? 256 : threads;
  static constexpr int each = block / threads; // transforms of a block
  static constexpr int bytes = each * Transform::shared * sizeof(Complex);

  static __device__ __forceinline__ int thread() {
    return threadIdx.x % threads;
  }
  static __device__ __forceinline__ int64_t transform() {
    return static_cast<int64_t>(blockIdx.x) * each + threadIdx.x / threads;
  }
  static __device__ __forceinline__ Complex* memory() {
    return reinterpret_cast<Complex*>(fft_memory) +
        threadIdx.x / threads * Transform::shared;
  }

  /// v: values q * n / 16 + t (real) to the spectrum.
  template <int Pass = 0>
  static __device__ __forceinline__ void forward(Complex* v) {
    const int t = thread();
    Transform::template forward<Pass>(t, v);
    if constexpr (Pass + 1 < passes) {
      Transform::template put<Pass>(memory(), t, v);
      sync<Pass>();
      Transform::template get<Pass + 1>(memory(), t, v);
      forward<Pass + 1>(v);
    }
  }

  template <int Pass = passes - 1>
  static __device__ __forceinline__ void backward(Complex* v) {
    const int t = thread();
    Transform::template backward<Pass>(t, v);
    if constexpr (Pass > 0) {
      Transform::template put<Pass>(memory(), t, v);
      sync<Pass - 1>();
      Transform::template get<Pass - 1>(memory(), t, v);
      backward<Pass - 1>(v);
    }
  }

  /// The circular result of period `length`: the linear one folded.
  static __device__ __forceinline__ void fold(Complex* v, int length) {
    constexpr int n = 1 << Log;
    Complex* s = memory();
    const int t = thread();
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      s[q * threads + t] = v[q];
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      const int i = q * threads + t + length;
      v[q].x += i < n ? s[i].x : i < 2 * n ? s[i - n].y : 0.f;
    }
    __syncthreads();
  }

  /// Spectra lie [transform][value / 2][thread][2].
  static __device__ __forceinline__ Complex* spectrum(
      float* base,
      int64_t transform) {
    return reinterpret_cast<Complex*>(base) + (transform << Log) + 2 * thread();
  }

 private:
  template <int Pass>
  static __device__ __forceinline__ void sync() {
    if constexpr (Transform::warp_exchange(Pass)) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
};

/// Calls go with the FFT of the logarithm.
template <class Go>
cudaError_t pick_fft(int log, const Go& go) {
  switch (log) {
    case 8:
      return go.template operator()<8>();
    case 9:
      return go.template operator()<9>();
    case 10:
      return go.template operator()<10>();
    case 11:
      return go.template operator()<11>();
    case 12:
      return go.template operator()<12>();
    case 13:
      return go.template operator()<13>();
    default:
      return cudaErrorInvalidValue;
  }
}

template <int Log, bool Plain = false, class Params>
cudaError_t launch_fft(
    void (*kernel)(Params),
    const Params& params,
    int64_t transforms,
    cudaStream_t stream) {
  using B = FftBlock<Log, Plain>;
  if (B::bytes > 48 * 1024) {
    const auto error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, B::bytes);
    if (error != cudaSuccess) {
      return error;
    }
  }
  const auto blocks =
      static_cast<unsigned>((transforms + B::each - 1) / B::each);
  kernel<<<blocks, B::block, B::bytes, stream>>>(params);
  return cudaGetLastError();
}

} // namespace signalllm::cuda
