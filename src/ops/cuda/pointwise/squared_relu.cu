// A thread has four times 16 bytes, a block's width apart; values beyond the
// last whole 16 bytes, or all where memory is not aligned to them, one by one.

#include "ops/cuda/vector.cuh"
#include "squared_relu.h"

namespace signalllm::cuda {
namespace {

constexpr int kThreads = 256, kEach = 4;

template <class T, int V, bool Backward>
struct Step {
  float x[V], g[V];

  __device__ __forceinline__ void read(const SquaredReluParams& p, int64_t at) {
    load<T, V>(static_cast<const T*>(p.input) + at, x);
    if constexpr (Backward) {
      load<T, V>(static_cast<const T*>(p.grad) + at, g);
    }
  }
  __device__ __forceinline__ void write(
      const SquaredReluParams& p,
      int64_t at) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float y = x[v] < 0 ? 0.f : x[v]; // what is not a number stays
      x[v] = Backward ? 2 * y * g[v] : y * y;
    }
    store<T, V>(static_cast<T*>(p.output) + at, x);
  }
};

template <class T, int V, bool Backward>
__global__ void relu_kernel(const __grid_constant__ SquaredReluParams p) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads * kEach;
  const int64_t first = begin + threadIdx.x;
  const int64_t whole = p.size / V;
  if (begin + kThreads * kEach <= whole) {
    Step<T, V, Backward> steps[kEach]; // all on their way at once
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      steps[i].read(p, (first + i * kThreads) * V);
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      steps[i].write(p, (first + i * kThreads) * V);
    }
    return;
  }
  for (int i = 0; i < kEach; ++i) {
    const int64_t at = first + i * kThreads;
    if (at < whole) {
      Step<T, V, Backward> step;
      step.read(p, at * V);
      step.write(p, at * V);
    } else if (V > 1 && at - whole < p.size - whole * V) {
      Step<T, 1, Backward> step;
      step.read(p, whole * V + at - whole);
      step.write(p, whole * V + at - whole);
    }
  }
}

template <class T, int V>
cudaError_t launch_vectors(const SquaredReluParams& p, cudaStream_t stream) {
  const int64_t accesses = p.size / V + p.size % V;
  constexpr int64_t block = kThreads * kEach;
  const auto blocks = static_cast<unsigned>((accesses + block - 1) / block);
  if (p.grad != nullptr) {
    relu_kernel<T, V, true><<<blocks, kThreads, 0, stream>>>(p);
  } else {
    relu_kernel<T, V, false><<<blocks, kThreads, 0, stream>>>(p);
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t launch_type(const SquaredReluParams& p, cudaStream_t stream) {
  const auto places = reinterpret_cast<uintptr_t>(p.input) |
      reinterpret_cast<uintptr_t>(p.grad) |
      reinterpret_cast<uintptr_t>(p.output);
  return places % 16 == 0 ? launch_vectors<T, 16 / sizeof(T)>(p, stream)
                          : launch_vectors<T, 1>(p, stream);
}

} // namespace

cudaError_t
launch(const SquaredReluParams& p, Dtype type, cudaStream_t stream) {
  switch (type) {
    case Dtype::float32:
      return launch_type<float>(p, stream);
    case Dtype::float16:
      return launch_type<__half>(p, stream);
    case Dtype::bfloat16:
      return launch_type<__nv_bfloat16>(p, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

} // namespace signalllm::cuda
