#pragma once

#include "tile_kernel.h"

namespace signalllm::cuda {

/// Picks the instantiation Tile<T, V, R, F, PerChannel> and hands it to `go`.
template <template <class, int, int, int, bool> class Tile, class T, class Go>
cudaError_t pick(const TileKernel& k, const Go& go) {
  constexpr int V = 16 / sizeof(T);
  constexpr int R = V < 8 ? 8 : 4;
  if (!k.vectors) {
    return k.per_channel ? go.template operator()<Tile<T, 1, 8, 0, true>>()
                         : go.template operator()<Tile<T, 1, 8, 0, false>>();
  }
  if (k.per_channel) {
    return go.template operator()<Tile<T, V, R, 0, true>>();
  }
  // Unrolled where it pays: the types and lengths that models train with.
  if constexpr (sizeof(T) < 8) {
    if (k.fine) {
      return k.taps == 8 ? go.template operator()<Tile<T, V, 2, 8, false>>()
                         : go.template operator()<Tile<T, V, 2, 0, false>>();
    }
    if (k.taps == 2) {
      return go.template operator()<Tile<T, V, R, 2, false>>();
    }
    if (k.taps == 8) {
      return go.template operator()<Tile<T, V, R / 2, 8, false>>();
    }
  }
  return go.template operator()<Tile<T, V, R, 0, false>>();
}

template <template <class, int, int, int, bool> class Tile, class Go>
cudaError_t pick_type(const TileKernel& k, const Go& go) {
  switch (k.type) {
    case Dtype::float32:
      return pick<Tile, float>(k, go);
    case Dtype::float64:
      return pick<Tile, double>(k, go);
    case Dtype::float16:
      return pick<Tile, __half>(k, go);
    default:
      return pick<Tile, __nv_bfloat16>(k, go);
  }
}

template <class Tile, class Params>
cudaError_t launch_blocks(
    void (*kernel)(Params),
    const Params& params,
    int64_t blocks,
    cudaStream_t stream) {
  const auto bytes = static_cast<size_t>(Tile::shared_bytes(params));
  if (bytes > 48 * 1024) {
    const auto error = cudaFuncSetAttribute(
        kernel,
        cudaFuncAttributeMaxDynamicSharedMemorySize,
        static_cast<int>(bytes));
    if (error != cudaSuccess) {
      return error;
    }
  }
  kernel<<<
      static_cast<unsigned>(blocks),
      params.shape.threads,
      bytes,
      stream>>>(params);
  return cudaGetLastError();
}

/// Launches `kernel` on every tile.
template <class Tile, class Params>
cudaError_t launch_tiles(
    void (*kernel)(Params),
    const Params& params,
    cudaStream_t stream) {
  return launch_blocks<Tile>(
      kernel,
      params,
      params.shape.batch * params.plan.tiles * params.shape.channel_tiles,
      stream);
}

} // namespace signalllm::cuda
