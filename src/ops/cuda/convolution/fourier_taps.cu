// A thread has 64 positions of one channel, eight runs of eight, so that the
// warp's accesses are of neighbouring channels. The waves around a run's centre
// are even and odd: cos and sin at half a step to three and a half serve both
// sides, which makes one multiply-add a tap and harmonic. Centres of runs are
// turned from the tile's, whose phase is exact: a whole number of 2^-64 turns
// times the position. Those turns, constant for a wave, are tabulated first.

#include "fourier_taps.cuh"

namespace signalllm::cuda {
namespace {

constexpr int kForwardWarps = 4;

/// What half a step turns harmonic `m` of a channel by, in 2^-64 turns.
__device__ uint64_t half_step(const FourierTapsParams& p, int m, int c) {
  const int64_t scale =
      p.frequency ? static_cast<int64_t>(rintf(p.frequency[c])) : p.whole[c];
  const int64_t whole = 4 * p.period; // half steps of a turn, at most 2^32
  int64_t harmonic = m * scale % whole;
  harmonic += harmonic < 0 ? whole : 0;
  const auto divisor = static_cast<uint64_t>(whole);
  const uint64_t above = static_cast<uint64_t>(harmonic) << 32;
  return (above / divisor << 32) + (above % divisor << 32) / divisor;
}

__global__ void waves_kernel(const __grid_constant__ FourierTapsParams p) {
  const int64_t size = static_cast<int64_t>(p.terms_count) * p.channels;
  const int64_t at =
      static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= size) {
    return;
  }
  const int m = static_cast<int>(at / p.channels) + 1;
  const int c = static_cast<int>(at % p.channels);
  const uint64_t step = half_step(p, m, c);
  auto* out = reinterpret_cast<float4*>(p.waves) + at;
  out[0] = {
      p.terms[static_cast<int64_t>(m) * p.channels + c],
      p.terms[static_cast<int64_t>(m + p.terms_count) * p.channels + c],
      __uint_as_float(static_cast<uint32_t>(step)),
      __uint_as_float(static_cast<uint32_t>(step >> 32))};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const auto pair = [&](uint64_t first, uint64_t second) {
      const float2 a = turn(step * first), b = turn(step * second);
      return float4{a.x, a.y, b.x, b.y};
    };
    const uint64_t k = 4 * i;
    out[(1 + i) * size] = pair(k + 1, k + 3);
    out[(3 + i) * size] = pair(8 * (k + 1), 8 * (k + 3));
  }
}

__global__ void __launch_bounds__(32 * kForwardWarps)
    taps_kernel(const __grid_constant__ FourierTapsParams p) {
  const int c = blockIdx.y * 32 + threadIdx.x;
  const int64_t tile =
      static_cast<int64_t>(blockIdx.x) * kForwardWarps + threadIdx.y;
  if (c >= p.channels || tile * kTapsTile >= p.length) {
    return;
  }
  const int first = static_cast<int>(tile * kTapsTile);
  float even[kRuns][kHalf], odd[kRuns][kHalf];
#pragma unroll
  for (int j = 0; j < kRuns; ++j) {
#pragma unroll
    for (int k = 0; k < kHalf; ++k) {
      even[j][k] = p.terms[c];
      odd[j][k] = 0;
    }
  }
#pragma unroll 1
  for (int m = 0; m < p.terms_count; ++m) {
    const Wave w(p, m, c, 2 * static_cast<uint64_t>(first) + kTapsTile - 1);
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
#pragma unroll
      for (const bool after : {false, true}) {
        const float sine = after ? w.far[i].y : -w.far[i].y;
        const float a = w.centre.x * w.far[i].x + w.centre.y * sine;
        const float b = w.centre.y * w.far[i].x - w.centre.x * sine;
        const int j = run_of(i, after);
#pragma unroll
        for (int k = 0; k < kHalf; ++k) {
          even[j][k] += a * w.near[k].x;
          odd[j][k] += b * w.near[k].y;
        }
      }
    }
  }
  const Fade fade(p, first, c);
  float* out = p.taps + static_cast<int64_t>(first) * p.channels + c;
#pragma unroll
  for (int j = 0; j < kRuns; ++j) {
#pragma unroll
    for (int r = 0; r < 2 * kHalf; ++r) {
      const int k = r < kHalf ? kHalf - 1 - r : r - kHalf;
      const float sum = even[j][k] + (r < kHalf ? -odd[j][k] : odd[j][k]);
      const int t = j * 2 * kHalf + r;
      if (first + t < p.length) {
        out[static_cast<int64_t>(t) * p.channels] =
            sum * (fade.run[j] * fade.step[r]);
      }
    }
  }
}

} // namespace

cudaError_t make_waves(const FourierTapsParams& p, cudaStream_t stream) {
  constexpr int threads = 128;
  if (p.terms_count > 0) {
    const int64_t size = static_cast<int64_t>(p.terms_count) * p.channels;
    waves_kernel<<<over(size, threads), threads, 0, stream>>>(p);
  }
  return cudaGetLastError();
}

cudaError_t launch(const FourierTapsParams& p, cudaStream_t stream) {
  if (const auto error = make_waves(p, stream); error != cudaSuccess) {
    return error;
  }
  const dim3 grid(
      over(p.length, kForwardWarps * kTapsTile), over(p.channels, 32));
  taps_kernel<<<grid, dim3(32, kForwardWarps), 0, stream>>>(p);
  return cudaGetLastError();
}

} // namespace signalllm::cuda
