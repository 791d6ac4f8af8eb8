// A warp has a row, of which each lane keeps N times four channels, 128 apart,
// in registers: mean and variance come from there. Backward the warps of a
// block take rows in turn and keep what weight and bias get from them; warps
// and then blocks are added in order. `rms_norm` is the same without a mean to
// take away, weight and bias.

#include "layer_norm.h"
#include "ops/cuda/vector.cuh"

namespace signalllm::cuda {
namespace {

/// Rows at once of a block: more channels need more registers.
template <int N>
constexpr int kWarps = N > 4 ? 4 : 8;

__device__ __forceinline__ float total(float x) {
  for (int away = 16; away > 0; away /= 2) {
    x += __shfl_xor_sync(~0u, x, away);
  }
  return x;
}

/// A lane's channels of a row; zero beyond them.
template <int N>
struct Row {
  float v[N][4];

  static __device__ __forceinline__ int channel(int i) {
    return (i * 32 + threadIdx.x) * 4;
  }
  template <class T>
  __device__ __forceinline__ void read(const T* row, int channels) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      clear(v[i]);
      if (channel(i) < channels) {
        load<T, 4>(row + channel(i), v[i]);
      }
    }
  }
  template <class T>
  __device__ __forceinline__ void write(T* row, int channels) const {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (channel(i) < channels) {
        store<T, 4>(row + channel(i), v[i]);
      }
    }
  }
  /// As `write` and `read` would leave them.
  template <class T>
  __device__ __forceinline__ void round() {
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        T value;
        narrow(v[i][k], value);
        v[i][k] = widen(value);
      }
    }
  }
  __device__ __forceinline__ void add(const Row& other) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        v[i][k] += other.v[i][k];
      }
    }
  }
  /// In place of every value `f(i, k)`.
  template <class F>
  __device__ __forceinline__ void set(int channels, const F& f) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        v[i][k] = channel(i) < channels ? f(i, k) : 0.f;
      }
    }
  }
  /// The mean of `f(i, k)`, which is 0 beyond the channels.
  template <class F>
  static __device__ __forceinline__ float mean(int channels, const F& f) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        sum += f(i, k);
      }
    }
    return total(sum) / static_cast<float>(channels);
  }
  /// Without mean, where that is asked, and with power 1; the factor.
  __device__ __forceinline__ float normalize(const LayerNormParams& p) {
    if (p.centred) {
      const float middle =
          mean(p.channels, [&](int i, int k) { return v[i][k]; });
      set(p.channels, [&](int i, int k) { return v[i][k] - middle; });
    }
    const float power =
        mean(p.channels, [&](int i, int k) { return v[i][k] * v[i][k]; });
    const float r = 1 / sqrtf(power + p.epsilon);
    set(p.channels, [&](int i, int k) { return v[i][k] * r; });
    return r;
  }
};

template <class T, class Out, int N>
__global__ void __launch_bounds__(32 * kWarps<N>)
    norm_kernel(const __grid_constant__ LayerNormParams p) {
  const int64_t row =
      static_cast<int64_t>(blockIdx.x) * kWarps<N> + threadIdx.y;
  if (row >= p.rows) {
    return;
  }
  Row<N> x;
  x.read(static_cast<const T*>(p.input) + row * p.channels, p.channels);
  if (p.branch != nullptr) {
    Row<N> branch;
    branch.read(
        static_cast<const Out*>(p.branch) + row * p.channels, p.channels);
    x.add(branch);
    x.template round<T>();
    x.write(static_cast<T*>(p.sum) + row * p.channels, p.channels);
  }
  x.normalize(p);
  if (p.weight != nullptr) {
    Row<N> weight, bias;
    weight.read(p.weight, p.channels);
    bias.read(p.bias, p.channels);
    x.set(p.channels, [&](int i, int k) {
      return x.v[i][k] * weight.v[i][k] + bias.v[i][k];
    });
  }
  x.write(static_cast<Out*>(p.output) + row * p.channels, p.channels);
}

/// A block's sum over its warps, in order.
template <int N>
__device__ void add_warps(
    const Row<N>& own,
    float (&sums)[kWarps<N>][N * 128],
    float* out,
    int channels) {
  own.write(sums[threadIdx.y], channels);
  __syncthreads();
  const int thread = threadIdx.y * 32 + threadIdx.x;
  for (int c = thread; c < channels; c += 32 * kWarps<N>) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps<N>; ++w) {
      sum += sums[w][c];
    }
    out[c] = sum;
  }
  __syncthreads();
}

template <class T, class Out, int N, bool Weighted>
__global__ void __launch_bounds__(32 * kWarps<N>)
    norm_backward_kernel(const __grid_constant__ LayerNormParams p) {
  Row<N> weight, grad_weight, grad_bias; // not there unless weighted
  if constexpr (Weighted) {
    weight.read(p.weight, p.channels);
  }
  grad_weight.set(0, [](int, int) { return 0.f; });
  grad_bias.set(0, [](int, int) { return 0.f; });
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps<N> + threadIdx.y;
       row < p.rows;
       row += static_cast<int64_t>(p.blocks) * kWarps<N>) {
    Row<N> x, g;
    x.read(static_cast<const T*>(p.input) + row * p.channels, p.channels);
    g.read(static_cast<const Out*>(p.grad) + row * p.channels, p.channels);
    const float r = x.normalize(p);
    if constexpr (Weighted) {
      grad_weight.set(p.channels, [&](int i, int k) {
        return grad_weight.v[i][k] + g.v[i][k] * x.v[i][k];
      });
      grad_bias.set(p.channels, [&](int i, int k) {
        return grad_bias.v[i][k] + g.v[i][k];
      });
      g.set(
          p.channels, [&](int i, int k) { return g.v[i][k] * weight.v[i][k]; });
    }
    const float middle = p.centred
        ? Row<N>::mean(p.channels, [&](int i, int k) { return g.v[i][k]; })
        : 0.f;
    const float along = Row<N>::mean(
        p.channels, [&](int i, int k) { return g.v[i][k] * x.v[i][k]; });
    g.set(p.channels, [&](int i, int k) {
      return r * (g.v[i][k] - middle - x.v[i][k] * along);
    });
    if (p.branch != nullptr) {
      x.read(static_cast<const T*>(p.sum) + row * p.channels, p.channels);
      g.add(x);
      g.write(static_cast<Out*>(p.branch) + row * p.channels, p.channels);
    }
    g.write(static_cast<T*>(p.output) + row * p.channels, p.channels);
  }
  if constexpr (Weighted) {
    __shared__ __align__(16) float sums[kWarps<N>][N * 128];
    float* out = p.shares + static_cast<int64_t>(blockIdx.x) * 2 * p.channels;
    add_warps<N>(grad_weight, sums, out, p.channels);
    add_warps<N>(grad_bias, sums, out + p.channels, p.channels);
  }
}

template <class T, class Out, int N>
cudaError_t launch_size(const LayerNormParams& p, cudaStream_t stream) {
  const dim3 block(32, kWarps<N>);
  if (p.shares != nullptr) {
    norm_backward_kernel<T, Out, N, true><<<p.blocks, block, 0, stream>>>(p);
  } else if (p.grad != nullptr) {
    norm_backward_kernel<T, Out, N, false><<<p.blocks, block, 0, stream>>>(p);
  } else {
    const auto blocks =
        static_cast<unsigned>((p.rows + kWarps<N> - 1) / kWarps<N>);
    norm_kernel<T, Out, N><<<blocks, block, 0, stream>>>(p);
  }
  return cudaGetLastError();
}

template <class T, class Out>
cudaError_t launch_types(const LayerNormParams& p, cudaStream_t stream) {
  return p.channels <= 128 ? launch_size<T, Out, 1>(p, stream)
      : p.channels <= 256  ? launch_size<T, Out, 2>(p, stream)
      : p.channels <= 512  ? launch_size<T, Out, 4>(p, stream)
                           : launch_size<T, Out, 8>(p, stream);
}

} // namespace

int layer_norm_blocks(int64_t rows, int channels, bool weighted) {
  // Two for each multiprocessor of an H100; with nothing to add up, many.
  const int64_t most = weighted ? 264 : 1 << 20;
  const int warps = channels > 512 ? kWarps<8> : kWarps<4>;
  const int64_t blocks = (rows + warps - 1) / warps;
  return static_cast<int>(blocks < most ? blocks : most);
}

bool has_layer_norm(int64_t rows, int64_t channels, Dtype input, Dtype output) {
  return output != Dtype::float64 &&
      (input == output || input == Dtype::float32) && rows > 0 &&
      rows < int64_t{1} << 31 && channels % 4 == 0 && channels <= kNormChannels;
}

cudaError_t launch(
    const LayerNormParams& p,
    Dtype input,
    Dtype output,
    cudaStream_t stream) {
  const bool wide = input == Dtype::float32;
  switch (output) {
    case Dtype::float32:
      return launch_types<float, float>(p, stream);
    case Dtype::float16:
      return wide ? launch_types<float, __half>(p, stream)
                  : launch_types<__half, __half>(p, stream);
    case Dtype::bfloat16:
      return wide ? launch_types<float, __nv_bfloat16>(p, stream)
                  : launch_types<__nv_bfloat16, __nv_bfloat16>(p, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

} // namespace signalllm::cuda
