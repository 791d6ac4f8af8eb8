// The kernel's gradient: one block's transform a channel runs through the
// batch, transforms the input row and the time-reversed gradient row, and sums
// their products in registers; one inverse at the end. The sum's order is
// fixed. Thread t holds values q n / 16 + t of a row as in fft_conv.cu; value i
// of the inverse is the gradient of tap length - 1 - i.

#include "fft_block.cuh"

namespace signalllm::cuda {
namespace {

template <class T, int Log>
__global__ void __launch_bounds__(
    FftBlock<Log>::block,
    FftBlock<Log>::block > 256 ? 1 : 2)
    gradient_kernel(const __grid_constant__ KernelGradientParams p) {
  using B = FftBlock<Log>;
  const int64_t c = B::transform();
  const bool active = c < p.channels;
  const int t = B::thread();
  Complex sum[16];
#pragma unroll
  for (int q = 0; q < 16; ++q) {
    sum[q] = {0.f, 0.f};
  }
#pragma unroll 1
  for (int64_t n = 0; n < p.batch; ++n) {
    const int64_t base = (n * p.channels + (active ? c : 0)) * p.stride;
    const T* x = static_cast<const T*>(p.input) + base;
    const T* g = static_cast<const T*>(p.grad) + base;
    Complex v[16], w[16];
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      const int i = q * B::threads + t;
      v[q].x = i < p.length ? widen(x[i]) : 0.f;
    }
    B::forward(v);
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      const int i = q * B::threads + t;
      w[q].x = i < p.length ? widen(g[p.length - 1 - i]) : 0.f;
    }
    B::forward(w);
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      sum[q] = sum[q] + v[q] * w[q];
    }
  }
  B::backward(sum);
  if (!p.causal) {
    B::fold(sum, p.length);
  }
  if (active) {
    constexpr float scale = 1.f / (1 << Log);
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      const int k = p.length - 1 - (q * B::threads + t);
      if (k >= 0 && k < p.taps) {
        p.out[static_cast<int64_t>(k) * p.channels + c] = sum[q].x * scale;
      }
    }
  }
}

} // namespace

cudaError_t
launch(const KernelGradientParams& p, Dtype type, cudaStream_t stream) {
  return pick_fft(fft_log(p.length), [&]<int Log>() {
    switch (type) {
      case Dtype::float32:
        return launch_fft<Log>(
            gradient_kernel<float, Log>, p, p.channels, stream);
      case Dtype::float16:
        return launch_fft<Log>(
            gradient_kernel<__half, Log>, p, p.channels, stream);
      case Dtype::bfloat16:
        return launch_fft<Log>(
            gradient_kernel<__nv_bfloat16, Log>, p, p.channels, stream);
      default:
        return cudaErrorInvalidValue;
    }
  });
}

} // namespace signalllm::cuda
