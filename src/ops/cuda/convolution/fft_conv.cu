// One transform a (channel, batch entry), batch entries first so that blocks
// in flight share a channel's spectrum in the cache. Thread t loads, and in
// the end stores, the values q n / 16 + t of its row, q < 16: each q is one
// coalesced access of the warp. Forward, times the kernel's spectrum, which
// lies in the thread's order, backward: the data stay in registers but for the
// exchanges.

#include "fft_block.cuh"

namespace signalllm::cuda {
namespace {

template <class T, int Log, int Blocks>
__global__ void __launch_bounds__(FftBlock<Log>::block, Blocks)
    conv_kernel(const __grid_constant__ ConvParams p) {
  using B = FftBlock<Log>;
  const int64_t f = B::transform();
  const bool active = f < p.batch * p.channels;
  const int64_t c = active ? f / p.batch : 0, n = active ? f % p.batch : 0;
  const int64_t base = (n * p.channels + c) * p.stride;
  const T* x = static_cast<const T*>(p.input) + base;
  const int t = B::thread();
  Complex v[16];
#pragma unroll
  for (int q = 0; q < 16; ++q) {
    const int i = q * B::threads + t;
    v[q].x = i < p.length ? widen(x[p.reversed ? p.length - 1 - i : i]) : 0.f;
  }
  const Complex* h = B::spectrum(p.spectrum, c);
  B::forward(v);
#pragma unroll
  for (int q = 0; q < 16; q += 2) {
    const float4 s = __ldg(reinterpret_cast<const float4*>(h + q * B::threads));
    v[q] = v[q] * Complex{s.x, s.y};
    v[q + 1] = v[q + 1] * Complex{s.z, s.w};
  }
  B::backward(v);
  if (!p.causal) {
    B::fold(v, p.length);
  }
  if (active) {
    T* y = static_cast<T*>(p.output) + base;
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      const int i = q * B::threads + t;
      if (i < p.length) {
        narrow(v[q].x, y[p.reversed ? p.length - 1 - i : i]);
      }
    }
  }
}

template <int Log>
__global__ void __launch_bounds__(
    FftBlock<Log>::block,
    FftBlock<Log>::block > 256 ? 2 : 4)
    spectrum_kernel(const __grid_constant__ SpectrumParams p) {
  using B = FftBlock<Log>;
  const int64_t c = B::transform();
  const bool active = c < p.channels;
  const int t = B::thread();
  Complex v[16];
#pragma unroll
  for (int q = 0; q < 16; ++q) {
    const int i = q * B::threads + t;
    v[q].x = active && i < p.taps ? p.kernel[c * p.stride + i] : 0.f;
  }
  // A skip connection is one more tap at lag 0.
  if (t == 0 && active && p.skip) {
    v[0].x += p.skip[c];
  }
  B::forward(v);
  if (active) {
    Complex* h = B::spectrum(p.spectrum, c);
    constexpr float scale = 1.f / (1 << Log);
#pragma unroll
    for (int q = 0; q < 16; q += 2) {
      *reinterpret_cast<float4*>(h + q * B::threads) = {
          v[q].x * scale,
          v[q].y * scale,
          v[q + 1].x * scale,
          v[q + 1].y * scale};
    }
  }
}

} // namespace

int fft_log(int64_t length) {
  for (int log = 8; log <= 13; ++log) {
    if (length <= int64_t{1} << log) {
      return log;
    }
  }
  return 0;
}

cudaError_t launch(const ConvParams& p, Dtype type, cudaStream_t stream) {
  return pick_fft(fft_log(p.length), [&]<int Log>() {
    const int64_t transforms = p.batch * p.channels;
    constexpr int blocks = FftBlock<Log>::block > 256 ? 1 : 2;
    switch (type) {
      case Dtype::float32:
        return launch_fft<Log>(
            conv_kernel<float, Log, blocks>, p, transforms, stream);
      case Dtype::float16:
        return launch_fft<Log>(
            conv_kernel<__half, Log, blocks>, p, transforms, stream);
      case Dtype::bfloat16:
        return launch_fft<Log>(
            conv_kernel<__nv_bfloat16, Log, blocks>, p, transforms, stream);
      default:
        return cudaErrorInvalidValue;
    }
  });
}

cudaError_t launch(const SpectrumParams& p, int log, cudaStream_t stream) {
  return pick_fft(log, [&]<int Log>() {
    return launch_fft<Log>(spectrum_kernel<Log>, p, p.channels, stream);
  });
}

} // namespace signalllm::cuda
