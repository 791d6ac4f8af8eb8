// The tiles and runs of fourier_taps.cu, collected: a run into sums of even and
// odd gradients, runs into the tile's, those turned by the tile's phase and
// added: a thread's tiles, the warps of a block and the blocks of a channel,
// each in order.

#include "fourier_taps.cuh"

namespace signalllm::cuda {
namespace {

/// A tile's faded gradients, as sums and differences about the runs' centres.
/// That of position 0, where every wave is 1 and no decay acts, is added in
/// the end: nothing then cancels where a fast decay leaves little else.
struct Tile {
  float even[kRuns][kHalf], odd[kRuns][kHalf];

  __device__ __forceinline__
  Tile(const FourierTapsParams& p, int first, int c) {
    const float* in = p.grad + static_cast<int64_t>(first) * p.channels + c;
    const Fade fade(p, first, c);
#pragma unroll
    for (int j = 0; j < kRuns; ++j) {
      float g[2 * kHalf];
#pragma unroll
      for (int r = 0; r < 2 * kHalf; ++r) {
        const int t = j * 2 * kHalf + r;
        g[r] = first + t < p.length && first + t > 0
            ? in[static_cast<int64_t>(t) * p.channels] *
                (fade.run[j] * fade.step[r])
            : 0.f;
      }
#pragma unroll
      for (int k = 0; k < kHalf; ++k) {
        even[j][k] = g[kHalf + k] + g[kHalf - 1 - k];
        odd[j][k] = g[kHalf + k] - g[kHalf - 1 - k];
      }
    }
  }

  /// Sum, and first moment about the tile's beginning, of a wave that is 1 at
  /// its centre; the mean has a wave of cosines 1.
  __device__ __forceinline__ void collect(
      const float2 (&near)[kHalf],
      const float2 (&far)[kHalf],
      float2& sum,
      float2& moment) const {
    sum = moment = {0, 0};
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
#pragma unroll
      for (const bool after : {false, true}) {
        const int j = run_of(i, after);
        float2 s{0, 0}, m{0, 0};
#pragma unroll
        for (int k = 0; k < kHalf; ++k) {
          const float away = static_cast<float>(k) + 0.5f;
          s.x += even[j][k] * near[k].x;
          s.y += odd[j][k] * near[k].y;
          m.x += odd[j][k] * (away * near[k].x);
          m.y += even[j][k] * (away * near[k].y);
        }
        const float middle = static_cast<float>(2 * kHalf * j + kHalf) - 0.5f;
        m.x += middle * s.x;
        m.y += middle * s.y;
        const float sine = after ? far[i].y : -far[i].y;
        sum.x += s.x * far[i].x - s.y * sine;
        sum.y += s.x * sine + s.y * far[i].x;
        moment.x += m.x * far[i].x - m.y * sine;
        moment.y += m.x * sine + m.y * far[i].x;
      }
    }
  }
};

__global__ void __launch_bounds__(32 * kTapsWarps, 2)
    taps_backward_kernel(const __grid_constant__ FourierTapsParams p) {
  // Each thread adds in slots of its own.
  __shared__ float sums[kTapsWarps][kTapsRows][32];
  const int lane = threadIdx.x, warp = threadIdx.y;
  const bool inside = blockIdx.y * 32 + lane < p.channels;
  const int c = inside ? blockIdx.y * 32 + lane : p.channels - 1;
  const int begin = blockIdx.z * kTapsChunk;
  const int count = min(kTapsChunk, p.terms_count - begin);
#pragma unroll
  for (int row = 0; row < kTapsRows; ++row) {
    sums[warp][row][lane] = 0;
  }
  float mean = 0, decay = 0;
  const int64_t step = int64_t{kTapsWarps} * kTapsTile;
  for (int64_t at = blockIdx.x * step + warp * kTapsTile; at < p.length;
       at += gridDim.x * step) {
    const int first = static_cast<int>(at);
    const Tile tile(p, first, c);
    const auto begins = static_cast<float>(first);
    float2 sum, moment;
    if (blockIdx.z == 0) {
      const float2 one{1, 0}, ones[kHalf]{one, one, one, one};
      tile.collect(ones, ones, sum, moment);
      mean += sum.x;
      decay += p.terms[c] * (moment.x + begins * sum.x);
    }
#pragma unroll 1
    for (int m = 0; m < count; ++m) {
      const Wave w(
          p, begin + m, c, 2 * static_cast<uint64_t>(first) + kTapsTile - 1);
      tile.collect(w.near, w.far, sum, moment);
      sums[warp][2 * m][lane] += sum.x * w.phase.x - sum.y * w.phase.y;
      sums[warp][2 * m + 1][lane] += sum.x * w.phase.y + sum.y * w.phase.x;
      decay += w.centre.x * (moment.x + begins * sum.x) +
          w.centre.y * (moment.y + begins * sum.y);
    }
  }
  sums[warp][kTapsRows - 2][lane] = mean;
  sums[warp][kTapsRows - 1][lane] = decay;
  __syncthreads();
  const int64_t block =
      static_cast<int64_t>(blockIdx.x) * gridDim.z + blockIdx.z;
  for (int row = warp; row < kTapsRows && inside; row += kTapsWarps) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kTapsWarps; ++i) {
      sum += sums[i][row][lane];
    }
    p.shares[(block * kTapsRows + row) * p.channels + c] = sum;
  }
}

/// Grid: (32 channels, row of the result, the decay last).
__global__ void taps_shares_kernel(
    const __grid_constant__ FourierTapsParams p,
    int chunks) {
  __shared__ float sums[kTapsWarps][32];
  const int lane = threadIdx.x, warp = threadIdx.y;
  const int c = blockIdx.x * 32 + lane;
  const bool inside = c < p.channels;
  const int row = blockIdx.y, count = p.terms_count;
  const bool decay = row == 2 * count + 1;
  const int m = (row - 1) % max(count, 1);
  const int part = decay ? kTapsRows - 1
      : row == 0         ? kTapsRows - 2
                         : 2 * (m % kTapsChunk) + (row > count);
  const int chunk = row == 0 || decay ? 0 : m / kTapsChunk;
  float sum = 0;
  for (int i = chunk; inside && i < (decay ? chunks : chunk + 1); ++i) {
#pragma unroll 4
    for (int s = warp; s < p.splits; s += kTapsWarps) {
      const int64_t block = static_cast<int64_t>(s) * chunks + i;
      sum += p.shares[(block * kTapsRows + part) * p.channels + c];
    }
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || !inside) {
    return;
  }
  sum = 0;
#pragma unroll
  for (int i = 0; i < kTapsWarps; ++i) {
    sum += sums[i][lane];
  }
  if (decay) {
    p.grad_log_decay[c] =
        -sum * (expf(p.log_decay[c]) / static_cast<float>(p.period));
  } else {
    p.grad_terms[static_cast<int64_t>(row) * p.channels + c] =
        row > count ? sum : sum + p.grad[c];
  }
}

} // namespace

int fourier_taps_chunks(int terms_count) {
  return terms_count > 0 ? over(terms_count, kTapsChunk) : 1;
}

int fourier_taps_splits(int64_t length, int64_t channels) {
  constexpr int64_t blocks = 768; // three times what runs at once on an H100
  const int64_t wanted = blocks / over(channels, 32);
  const int64_t most = over(length, int64_t{kTapsWarps} * kTapsTile);
  return static_cast<int>(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

cudaError_t launch_backward(const FourierTapsParams& p, cudaStream_t stream) {
  if (const auto error = make_waves(p, stream); error != cudaSuccess) {
    return error;
  }
  const int chunks = fourier_taps_chunks(p.terms_count);
  const int columns = over(p.channels, 32);
  const dim3 block(32, kTapsWarps);
  taps_backward_kernel<<<dim3(p.splits, columns, chunks), block, 0, stream>>>(
      p);
  taps_shares_kernel<<<
      dim3(columns, 2 * p.terms_count + 2),
      block,
      0,
      stream>>>(p, chunks);
  return cudaGetLastError();
}

} // namespace signalllm::cuda
