// A thread owns 16 bytes of neighbouring channels and walks over the rows of
// one chunk (blockIdx.y) of one signal (blockIdx.z), with the last K rows in
// registers, so that every row is read once. Backward it walks from the
// chunk's end to its start, over rows of the output's gradient g: row s of the
// input's gradient is sum_k taps[k] g[s + k], and x[s] g[s + k] belongs to tap
// k, so that both come from one window over g.

#include "causal_filter.h"
#include "ops/cuda/vector.cuh"

namespace signalllm::cuda {
namespace {

template <class T, int K, bool Backward>
__global__ void filter_kernel(const __grid_constant__ CausalFilterParams p) {
  constexpr int V = 16 / sizeof(T);
  const int group = blockIdx.x * blockDim.x + threadIdx.x;
  const int c = group * V;
  if (c >= p.channels) {
    return;
  }
  const int64_t n = blockIdx.z;
  const int64_t whole = n * p.length * p.channels + c;
  // The same place in the divided tensor.
  const int64_t part =
      (c / p.width * p.batch + n) * p.length * p.width + c % p.width;
  const T* in = static_cast<const T*>(p.input) + (Backward ? part : whole);
  const T* signal = static_cast<const T*>(p.signal) + whole;
  T* out = static_cast<T*>(p.output) + (Backward ? whole : part);
  const int64_t in_row = Backward ? p.width : p.channels;
  const int64_t out_row = Backward ? p.channels : p.width;
  const int first = blockIdx.y * kCausalFilterRows;
  const int end = min(first + kCausalFilterRows, p.length);

  float taps[K][V], window[K][V], sums[K][V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      taps[k][v] = p.taps[(c + v) * K + k];
      window[k][v] = 0;
      sums[k][v] = 0;
    }
  }
  // window[k] is the row k before (backward: behind) the present one.
  const int step = Backward ? -1 : 1;
  const int start = Backward ? end - 1 : first;
#pragma unroll
  for (int k = 1; k < K; ++k) {
    const int row = start - step * k;
    if (row >= 0 && row < p.length) {
      load<T, V>(in + row * in_row, window[k]);
    }
  }
#pragma unroll 8
  for (int i = 0; i < end - first; ++i) {
    const int row = start + step * i;
    load<T, V>(in + row * in_row, window[0]);
    float y[V];
    clear(y);
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        y[v] += taps[k][v] * window[k][v];
      }
    }
    store<T, V>(out + row * out_row, y);
    if constexpr (Backward) {
      float x[V];
      load<T, V>(signal + row * out_row, x);
#pragma unroll
      for (int k = 0; k < K; ++k) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          sums[k][v] += x[v] * window[k][v];
        }
      }
    }
#pragma unroll
    for (int k = K - 1; k > 0; --k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        window[k][v] = window[k - 1][v];
      }
    }
  }
  if constexpr (Backward) {
    const int64_t chunk =
        static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y;
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        p.shares[(chunk * K + k) * p.channels + c + v] = sums[k][v];
      }
    }
  }
}

template <class T, int K>
cudaError_t launch_taps(const CausalFilterParams& p, cudaStream_t stream) {
  constexpr int V = 16 / sizeof(T);
  const int groups = p.channels / V;
  const int threads = groups < 128 ? (groups + 31) / 32 * 32 : 128;
  const dim3 grid(
      (groups + threads - 1) / threads,
      (p.length + kCausalFilterRows - 1) / kCausalFilterRows,
      static_cast<unsigned>(p.batch));
  if (p.shares != nullptr) {
    filter_kernel<T, K, true><<<grid, threads, 0, stream>>>(p);
  } else {
    filter_kernel<T, K, false><<<grid, threads, 0, stream>>>(p);
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t launch_type(const CausalFilterParams& p, cudaStream_t stream) {
  switch (p.count) {
    case 1:
      return launch_taps<T, 1>(p, stream);
    case 2:
      return launch_taps<T, 2>(p, stream);
    case 3:
      return launch_taps<T, 3>(p, stream);
    case 4:
      return launch_taps<T, 4>(p, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

} // namespace

cudaError_t
launch(const CausalFilterParams& p, Dtype type, cudaStream_t stream) {
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
