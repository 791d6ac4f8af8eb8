// Columns: a block holds 16 channels x 16 neighbouring times t < n / 16. A
// thread's 16 values q n / 16 + t of its channel are the transform's first
// butterfly. At the signal a warp has two times of 16 neighbouring channels;
// at the rows, where time is contiguous, two channels of 16 times: shared
// memory between them turns the tile, padded to an odd row length.
//
// Rows: one plain transform of n / 16 values (channel, q, batch entry), batch
// entries first so that blocks in flight share the spectrum. Thread t holds
// values j n / 256 + t, j < 16.

#include "fft_block.cuh"
#include "fft_long.h"

namespace signalllm::cuda {
namespace {

constexpr int kTile = kColumnTile;
constexpr int kThreads = kTile * kTile;

template <int Log>
struct Columns {
  using First = Fft<Log>;
  static constexpr int part = (1 << Log) / 16;

  static __device__ __forceinline__ Complex*
  row(const ColumnsParams& p, int64_t n, int c, int q) {
    return reinterpret_cast<Complex*>(p.rows) +
        (((n * p.count + c) << Log) + static_cast<int64_t>(q) * part);
  }
  /// Row of the signal of value i, or -1.
  static __device__ __forceinline__ int place(const ColumnsParams& p, int i) {
    const int at = p.reversed ? p.length - 1 - i : i;
    return at >= 0 && at < p.limit && i < p.length ? at : -1;
  }
};

template <class T, int Log>
__global__ void __launch_bounds__(kThreads)
    columns_in_kernel(const __grid_constant__ ColumnsParams p) {
  using C = Columns<Log>;
  __shared__ Complex tile[16][kTile][kTile + 1];
  const int64_t n = blockIdx.z;
  const int t0 = blockIdx.x * kTile, c0 = blockIdx.y * kTile;
  const int low = threadIdx.x % kTile, high = threadIdx.x / kTile;
  {
    const int c = c0 + low, t = t0 + high;
    Complex v[16];
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      v[q] = {0.f, 0.f};
      const int at = C::place(p, q * C::part + t);
      if (c < p.count && at >= 0) {
        const int64_t i =
            (n * p.limit + at) * static_cast<int64_t>(p.channels) + p.first + c;
        v[q].x = widen(static_cast<const T*>(p.input)[i]);
        if (p.gate) {
          v[q].x *= widen(static_cast<const T*>(p.gate)[i]);
        }
      }
    }
    if (p.skip && t == 0 && c < p.count) {
      v[0].x += p.skip[p.first + c];
    }
    C::First::template forward<0>(t, v);
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      tile[q][low][high] = v[q];
    }
  }
  __syncthreads();
  if (c0 + high < p.count) {
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      C::row(p, n, c0 + high, q)[t0 + low] = tile[q][high][low];
    }
  }
}

template <class T, int Log>
__global__ void __launch_bounds__(kThreads)
    columns_out_kernel(const __grid_constant__ ColumnsParams p) {
  using C = Columns<Log>;
  __shared__ Complex tile[16][kTile][kTile + 1];
  const int64_t n = blockIdx.z;
  const int t0 = blockIdx.x * kTile, c0 = blockIdx.y * kTile;
  const int low = threadIdx.x % kTile, high = threadIdx.x / kTile;
  if (c0 + high < p.count) {
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      tile[q][high][low] = C::row(p, n, c0 + high, q)[t0 + low];
    }
  }
  __syncthreads();
  const int c = c0 + low, t = t0 + high;
  if (c >= p.count) {
    return;
  }
  Complex v[16];
#pragma unroll
  for (int q = 0; q < 16; ++q) {
    v[q] = tile[q][low][high];
  }
  C::First::template backward<0>(t, v);
#pragma unroll
  for (int q = 0; q < 16; ++q) {
    const int at = C::place(p, q * C::part + t);
    if (at < 0) {
      continue;
    }
    const int64_t i =
        (n * p.limit + at) * static_cast<int64_t>(p.channels) + p.first + c;
    const float y = v[q].x * p.scale;
    const auto write = [&](const void* gate, void* out) {
      narrow(
          gate ? y * widen(static_cast<const T*>(gate)[i]) : y,
          static_cast<T*>(out)[i]);
    };
    write(p.gate, p.output);
    if (p.other_output) {
      write(p.other_gate, p.other_output);
    }
  }
}

template <int Log>
struct Rows : FftBlock<Log, true> {
  using B = FftBlock<Log, true>;
  using B::threads;

  static __device__ __forceinline__ Complex* at(float* base, int64_t row) {
    return reinterpret_cast<Complex*>(base) + (row << Log) + B::thread();
  }
  /// Barrier at the end: shared memory is free for the next transform.
  static __device__ __forceinline__ void
  spectrum_of(const Complex* x, bool active, Complex* v) {
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      v[j] = active ? x[j * threads] : Complex{0.f, 0.f};
    }
    B::forward(v);
    __syncthreads();
  }
  static __device__ __forceinline__ void
  inverse(Complex* x, bool active, Complex* v) {
    B::backward(v);
    __syncthreads();
    if (active) {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        x[j * threads] = v[j];
      }
    }
  }
  static __device__ __forceinline__ void multiply(
      const Complex* spectrum,
      Complex* v) {
#pragma unroll
    for (int j = 0; j < 16; j += 2) {
      const float4 s =
          __ldg(reinterpret_cast<const float4*>(spectrum + j * threads));
      v[j] = v[j] * Complex{s.x, s.y};
      v[j + 1] = v[j + 1] * Complex{s.z, s.w};
    }
  }
};

template <int Log>
__global__ void __launch_bounds__(FftBlock<Log, true>::block)
    spectrum_kernel(const __grid_constant__ RowsParams p) {
  using R = Rows<Log>;
  const int64_t row = R::B::transform();
  const bool active = row < p.count * 16;
  Complex v[16];
  R::spectrum_of(R::at(p.spectrum, active ? row : 0), active, v);
  if (active) {
    Complex* h = R::spectrum(p.spectrum, row);
#pragma unroll
    for (int j = 0; j < 16; j += 2) {
      *reinterpret_cast<float4*>(h + j * R::threads) = {
          v[j].x, v[j].y, v[j + 1].x, v[j + 1].y};
    }
  }
}

template <int Log>
__global__ void __launch_bounds__(
    FftBlock<Log, true>::block,
    FftBlock<Log, true>::block > 256 ? 1 : 2)
    convolve_kernel(const __grid_constant__ RowsParams p) {
  using R = Rows<Log>;
  const int64_t f = R::B::transform();
  const bool active = f < static_cast<int64_t>(p.count) * 16 * p.batch;
  const int64_t row = active ? f / p.batch : 0, n = active ? f % p.batch : 0;
  Complex* x = R::at(p.rows, n * p.count * 16 + row);
  Complex v[16];
  R::spectrum_of(x, active, v);
  R::multiply(R::spectrum(p.spectrum, row), v);
  R::inverse(x, active, v);
}

template <int Log>
__global__ void __launch_bounds__(FftBlock<Log, true>::block, 1)
    backward_kernel(const __grid_constant__ RowsParams p) {
  using R = Rows<Log>;
  const int64_t f = R::B::transform();
  const bool active = f < p.count * 16;
  const int64_t row = active ? f : 0;
  const Complex* h = R::spectrum(p.spectrum, row);
  Complex sum[16];
#pragma unroll
  for (int j = 0; j < 16; ++j) {
    sum[j] = {0.f, 0.f};
  }
#pragma unroll 1
  for (int64_t n = 0; n < p.batch; ++n) {
    Complex* x = R::at(p.rows, n * p.count * 16 + row);
    Complex* g = R::at(p.other, n * p.count * 16 + row);
    Complex v[16], w[16];
    R::spectrum_of(x, active, v);
    R::spectrum_of(g, active, w);
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      sum[j] = sum[j] + v[j] * w[j];
    }
    R::multiply(h, w);
    R::inverse(g, active, w);
    if (p.both) {
      R::multiply(h, v);
      R::inverse(x, active, v);
    }
  }
  R::inverse(R::at(p.gradient, row), active, sum);
}

/// Calls go with the logarithm of the long transform.
template <class Go>
cudaError_t pick(int log, const Go& go) {
  switch (log) {
    case 14:
      return go.template operator()<14>();
    case 15:
      return go.template operator()<15>();
    case 16:
      return go.template operator()<16>();
    case 17:
      return go.template operator()<17>();
    default:
      return cudaErrorInvalidValue;
  }
}

dim3 columns_grid(const ColumnsParams& p, int log) {
  return {
      static_cast<unsigned>((1 << log) / 16 / kTile),
      static_cast<unsigned>((p.count + kTile - 1) / kTile),
      static_cast<unsigned>(p.batch)};
}

template <int Log>
cudaError_t launch_columns(
    void (*kernel)(ColumnsParams),
    const ColumnsParams& p,
    cudaStream_t stream) {
  kernel<<<columns_grid(p, Log), kThreads, 0, stream>>>(p);
  return cudaGetLastError();
}

} // namespace

int fft_long_log(int64_t length) {
  for (int log = 14; log <= 17; ++log) {
    if (length <= int64_t{1} << log) {
      return length > 8192 ? log : 0;
    }
  }
  return 0;
}

cudaError_t
columns_in(const ColumnsParams& p, int log, Dtype type, cudaStream_t stream) {
  return pick(log, [&]<int Log>() {
    switch (type) {
      case Dtype::float32:
        return launch_columns<Log>(columns_in_kernel<float, Log>, p, stream);
      case Dtype::float16:
        return launch_columns<Log>(columns_in_kernel<__half, Log>, p, stream);
      case Dtype::bfloat16:
        return launch_columns<Log>(
            columns_in_kernel<__nv_bfloat16, Log>, p, stream);
      default:
        return cudaErrorInvalidValue;
    }
  });
}

cudaError_t
columns_out(const ColumnsParams& p, int log, Dtype type, cudaStream_t stream) {
  return pick(log, [&]<int Log>() {
    switch (type) {
      case Dtype::float32:
        return launch_columns<Log>(columns_out_kernel<float, Log>, p, stream);
      case Dtype::float16:
        return launch_columns<Log>(columns_out_kernel<__half, Log>, p, stream);
      case Dtype::bfloat16:
        return launch_columns<Log>(
            columns_out_kernel<__nv_bfloat16, Log>, p, stream);
      default:
        return cudaErrorInvalidValue;
    }
  });
}

cudaError_t rows_spectrum(const RowsParams& p, int log, cudaStream_t stream) {
  return pick(log, [&]<int Log>() {
    return launch_fft<Log - 4, true>(
        spectrum_kernel<Log - 4>, p, int64_t{p.count} * 16, stream);
  });
}

cudaError_t rows_convolve(const RowsParams& p, int log, cudaStream_t stream) {
  return pick(log, [&]<int Log>() {
    return launch_fft<Log - 4, true>(
        convolve_kernel<Log - 4>, p, int64_t{p.count} * 16 * p.batch, stream);
  });
}

cudaError_t rows_backward(const RowsParams& p, int log, cudaStream_t stream) {
  return pick(log, [&]<int Log>() {
    return launch_fft<Log - 4, true>(
        backward_kernel<Log - 4>, p, int64_t{p.count} * 16, stream);
  });
}

} // namespace signalllm::cuda
