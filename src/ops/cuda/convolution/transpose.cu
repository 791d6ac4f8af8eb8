// out[n, j, i] = in[n, i, j] in tiles of 64 x 64. Reading, a thread takes V
// neighbouring columns of a row (16 bytes where the strides allow it), 64 / V
// threads a row; writing, V neighbouring rows of a column. The tile lies in
// shared memory with a row length that is odd in words.

#include "fft_conv.h"

#include "ops/cuda/vector.cuh"

namespace signalllm::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kThreads = 256;

template <class T, bool In, bool Out, bool Gates>
__global__ void __launch_bounds__(kThreads)
    transpose_kernel(const __grid_constant__ TransposeParams p) {
  constexpr int kPad = sizeof(T) == 2 ? 2 : 1;
  constexpr int VI = In ? 16 / sizeof(T) : 1, VO = Out ? 16 / sizeof(T) : 1;
  __shared__ T tile[kTile][kTile + kPad];
  const int64_t n = blockIdx.z;
  const int i0 = blockIdx.y * kTile, j0 = blockIdx.x * kTile;
  const int64_t in_base = n * p.rows * p.in_stride;
  const int64_t out_base = n * p.columns * p.out_stride;
  {
    constexpr int lanes = kTile / VI;
    const int j = threadIdx.x % lanes * VI;
#pragma unroll
    for (int s = 0; s < kTile * lanes / kThreads; ++s) {
      const int i = threadIdx.x / lanes + s * (kThreads / lanes);
      if (i0 + i < p.rows && j0 + j < p.columns) {
        const int64_t at = in_base + (i0 + i) * p.in_stride + j0 + j;
        float x[VI];
        load<T, VI>(static_cast<const T*>(p.in) + at, x);
        if (Gates && p.gate_in) {
          float g[VI];
          load<T, VI>(static_cast<const T*>(p.gate_in) + at, g);
#pragma unroll
          for (int v = 0; v < VI; ++v) {
            x[v] *= g[v];
          }
        }
#pragma unroll
        for (int v = 0; v < VI; ++v) {
          narrow(x[v], tile[i][j + v]);
        }
      }
    }
  }
  __syncthreads();
  {
    constexpr int lanes = kTile / VO;
    const int i = threadIdx.x % lanes * VO;
#pragma unroll
    for (int s = 0; s < kTile * lanes / kThreads; ++s) {
      const int j = threadIdx.x / lanes + s * (kThreads / lanes);
      if (i0 + i < p.rows && j0 + j < p.columns) {
        const int64_t at = out_base + (j0 + j) * p.out_stride + i0 + i;
        float x[VO];
#pragma unroll
        for (int v = 0; v < VO; ++v) {
          x[v] = widen(tile[i + v][j]);
        }
        if (Gates && p.gate_out) {
          float g[VO];
          load<T, VO>(static_cast<const T*>(p.gate_out) + at, g);
#pragma unroll
          for (int v = 0; v < VO; ++v) {
            x[v] *= g[v];
          }
        }
        store<T, VO>(static_cast<T*>(p.out) + at, x);
      }
    }
  }
}

template <class T>
cudaError_t launch_type(const TransposeParams& p, cudaStream_t stream) {
  const auto aligned = [](const void* a, int64_t stride) {
    return reinterpret_cast<uintptr_t>(a) % 16 == 0 &&
        stride * sizeof(T) % 16 == 0;
  };
  // A last partial group of columns (rows) is read (written) up to the stride.
  const bool in = aligned(p.in, p.in_stride) && aligned(p.gate_in, p.in_stride);
  const bool out =
      aligned(p.out, p.out_stride) && aligned(p.gate_out, p.out_stride);
  const bool gates = p.gate_in || p.gate_out;
  const dim3 grid(
      (p.columns + kTile - 1) / kTile,
      (p.rows + kTile - 1) / kTile,
      static_cast<unsigned>(p.batch));
  auto kernel = gates ? in ? out ? transpose_kernel<T, true, true, true>
                                 : transpose_kernel<T, true, false, true>
          : out ? transpose_kernel<T, false, true, true>
                           : transpose_kernel<T, false, false, true>
      : in ? out ? transpose_kernel<T, true, true, false>
                 : transpose_kernel<T, true, false, false>
      : out ? transpose_kernel<T, false, true, false>
                      : transpose_kernel<T, false, false, false>;
  kernel<<<grid, kThreads, 0, stream>>>(p);
  return cudaGetLastError();
}

} // namespace

cudaError_t launch(const TransposeParams& p, Dtype type, cudaStream_t stream) {
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
