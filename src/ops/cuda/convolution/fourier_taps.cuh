#pragma once

// What both directions of `fourier_taps` share: a tile, its waves, its decay.

#include "fourier_taps.h"

namespace signalllm::cuda {

constexpr int kRuns = 8, kHalf = 4; // of a tile; pairs of a run

/// cos and sin of a phase in 2^-64 turns.
__device__ __forceinline__ float2 turn(uint64_t phase) {
  const auto upper = static_cast<int32_t>(phase >> 32);
  float2 wave;
  sincospif(static_cast<float>(upper) * 0x1p-31f, &wave.y, &wave.x);
  return wave;
}

/// A harmonic of a channel at a tile.
struct Wave {
  float2 centre; // a and b turned to the tile's centre
  float2 phase; // cos and sin there
  float2 near[kHalf]; // half a step, one and a half, ..
  float2 far[kHalf]; // eight times those: from the centre to a run's

  __device__ __forceinline__
  Wave(const FourierTapsParams& p, int m, int c, uint64_t twice_centre) {
    const int64_t size = static_cast<int64_t>(p.terms_count) * p.channels;
    const auto* in = reinterpret_cast<const float4*>(p.waves) +
        static_cast<int64_t>(m) * p.channels + c;
    const float4 head = in[0];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float4 a = in[(1 + i) * size], b = in[(3 + i) * size];
      near[2 * i] = {a.x, a.y};
      near[2 * i + 1] = {a.z, a.w};
      far[2 * i] = {b.x, b.y};
      far[2 * i + 1] = {b.z, b.w};
    }
    const uint64_t step = static_cast<uint64_t>(__float_as_uint(head.w)) << 32 |
        __float_as_uint(head.z);
    phase = turn(step * twice_centre);
    centre = {
        head.x * phase.x + head.y * phase.y,
        head.y * phase.x - head.x * phase.y};
  }
};

/// Run `i` after the centre of a tile, or before it.
__device__ __forceinline__ int run_of(int i, bool after) {
  return after ? kRuns / 2 + i : kRuns / 2 - 1 - i;
}

/// The decay at the beginnings of a tile's runs and at a run's positions.
struct Fade {
  float run[kRuns], step[2 * kHalf];

  __device__ __forceinline__
  Fade(const FourierTapsParams& p, int first, int c) {
    const float rate = expf(p.log_decay[c]) / static_cast<float>(p.period);
#pragma unroll
    for (int i = 0; i < kRuns; ++i) {
      run[i] = expf(-rate * static_cast<float>(first + i * 2 * kHalf));
      step[i] = expf(-rate * static_cast<float>(i));
    }
  }
};

inline int over(int64_t size, int64_t block) {
  return static_cast<int>((size + block - 1) / block);
}

} // namespace signalllm::cuda
