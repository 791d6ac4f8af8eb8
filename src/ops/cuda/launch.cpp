#include "launch.h"

#include <algorithm>

namespace signalllm::cuda {
namespace {

constexpr int kSharedBytes = 220 * 1024;
constexpr int kBlocksWanted = 2 * 132;

} // namespace

TileKernel choose_kernel(
    Dtype type,
    bool vectors,
    bool per_channel,
    bool wide,
    int taps,
    int64_t batch,
    int64_t length,
    int64_t channels,
    Shape& shape) {
  TileKernel kernel{type, vectors, per_channel, false, 0};
  const int64_t bytes = batch * length * channels * size_of(type);
  const bool special =
      vectors && !per_channel && !wide && type != Dtype::float64;
  kernel.fine = special && bytes <= 8 << 20;
  if (special && (taps == 8 || (taps == 2 && !kernel.fine))) {
    kernel.taps = taps;
  }
  const int most = vectors ? 8 : 32;
  shape = {};
  shape.threads = kernel.fine ? 128 : 256;
  shape.batch = batch;
  shape.channels = static_cast<int>(channels);
  while (shape.lanes < most && shape.lanes * kernel.width() < channels) {
    shape.lanes *= 2;
  }
  const int tile_channels = shape.lanes * kernel.width();
  shape.channel_tiles =
      static_cast<int>((channels + tile_channels - 1) / tile_channels);
  return kernel;
}

TileLimits tile_limits(const TileKernel& kernel, const Shape& shape, int taps) {
  const int row = shape.lanes * kernel.width() * size_of_sum(kernel.type);
  const int filters =
      2 * taps * (kernel.per_channel ? row : size_of_sum(kernel.type));
  // Border tables, and rows beyond the ends.
  const int borders =
      (2 * taps + 1) * (kMaxLevels * static_cast<int>(sizeof(BorderRow)) + row);
  TileLimits limits;
  // Two sweeps of the threads a tile: fewer rows are computed twice.
  limits.sweep =
      shape.threads / shape.lanes * kernel.outputs() * (kernel.fine ? 1 : 2);
  limits.capacity = std::max(kSharedBytes - filters - borders, 0) / row;
  const int64_t others = shape.batch * shape.channel_tiles;
  limits.tiles = static_cast<int>(
      std::max<int64_t>((kBlocksWanted + others - 1) / others, 1));
  return limits;
}

} // namespace signalllm::cuda
