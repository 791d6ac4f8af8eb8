// Filter gradients. A block sums 8 taps of 32 channels over one part of the
// rows (n, o): thread (lane, row) takes channel `lane` and every 8th row of
// the part, so a warp's accesses are rows of 32 neighbouring channels, and the
// 8 shifted rows of x come out of the first-level cache. The 8 thread rows are
// added in a fixed order; the parts are summed by the caller: no atomics, the
// same bits every time.

#include "correlate.cuh"

namespace signalllm::cuda {
namespace {

constexpr int kLanes = 32, kRows = 8, kTaps = 8;

template <class T>
__device__ __forceinline__ Acc<T> at(const void* p, bool wide, int64_t i) {
  return wide ? static_cast<const Acc<T>*>(p)[i]
              : widen(static_cast<const T*>(p)[i]);
}

template <class T>
__global__ void __launch_bounds__(kLanes* kRows)
    correlate_kernel(const __grid_constant__ CorrelateParams p) {
  using A = Acc<T>;
  __shared__ A shared[kRows][kLanes];
  const int lane = threadIdx.x % kLanes, row = threadIdx.x / kLanes;
  const int c = blockIdx.y * kLanes + lane;
  const int first = blockIdx.z * kTaps;
  const int taps = min(kTaps, p.taps - first);
  const int64_t total = p.batch * p.count;
  const int64_t begin = total * blockIdx.x / p.parts;
  const int64_t end = total * (blockIdx.x + 1) / p.parts;
  A sum[2][kTaps] = {};
  if (c < p.channels) {
    for (int64_t r = begin + row; r < end; r += kRows) {
      const int64_t n = r / p.count;
      const int o = static_cast<int>(r - n * p.count);
      A g[2];
#pragma unroll
      for (int b = 0; b < 2; ++b) {
        g[b] = p.g[b]
            ? at<T>(p.g[b], p.wide_g[b], (n * p.g_rows[b] + o) * p.channels + c)
            : A(0);
      }
      const int64_t base = n * p.length;
      const int64_t top = static_cast<int64_t>(p.step) * o + p.offset;
      A x[kTaps];
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        x[k] = 0;
        const int64_t i = top - static_cast<int64_t>(p.dilation) * (first + k);
        if (k >= taps) {
        } else if (i >= 0 && i < p.length) {
          x[k] = at<T>(p.x, p.wide_x, (base + i) * p.channels + c);
        } else if (p.border != Border::zero) {
          const auto e = border_row(p.border, static_cast<int>(i), p.length);
          for (int m = 0; m < 3; ++m) {
            if (e.weight[m] != 0) {
              x[k] += e.weight[m] *
                  at<T>(p.x, p.wide_x, (base + e.row[m]) * p.channels + c);
            }
          }
        }
      }
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        sum[0][k] += g[0] * x[k];
        sum[1][k] += g[1] * x[k];
      }
    }
  }
  A* out = static_cast<A*>(p.out);
#pragma unroll
  for (int b = 0; b < 2; ++b) {
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      if (b == 1 && !p.g[1]) {
        continue;
      }
      __syncthreads();
      shared[row][lane] = sum[b][k];
      __syncthreads();
      if (row == 0 && c < p.channels && k < taps) {
        A s = 0;
        for (int i = 0; i < kRows; ++i) {
          s += shared[i][lane];
        }
        const int64_t bands = p.g[1] ? 2 : 1;
        out[((blockIdx.x * bands + b) * p.channels + c) * p.taps + first + k] =
            s;
      }
    }
  }
}

} // namespace

cudaError_t launch(const CorrelateParams& p, Dtype type, cudaStream_t stream) {
  const dim3 grid(
      p.parts,
      (p.channels + kLanes - 1) / kLanes,
      (p.taps + kTaps - 1) / kTaps);
  const auto go = [&](auto kernel) {
    kernel<<<grid, kLanes * kRows, 0, stream>>>(p);
    return cudaGetLastError();
  };
  switch (type) {
    case Dtype::float32:
      return go(correlate_kernel<float>);
    case Dtype::float64:
      return go(correlate_kernel<double>);
    case Dtype::float16:
      return go(correlate_kernel<__half>);
    default:
      return go(correlate_kernel<__nv_bfloat16>);
  }
}

} // namespace signalllm::cuda
