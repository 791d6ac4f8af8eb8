#include "tile_kernel.h"

#include <algorithm>

namespace signalllm::cuda {
namespace {

/// Room for what the kernels declare themselves.
constexpr int kStaticBytes = 7 * 1024;
/// Of a multiprocessor.
constexpr int kBlocksWanted = 2;

void count_channel_tiles(const TileKernel& kernel, Shape& shape) {
  const int channels = shape.lanes * kernel.width();
  shape.channel_tiles = (shape.channels + channels - 1) / channels;
}

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
  count_channel_tiles(kernel, shape);
  return kernel;
}

int most_taps(const Device& device) {
  constexpr int row = 32; // the widest of one lane
  const int tables = kMaxLevels * static_cast<int>(sizeof(BorderRow)) + row;
  return (device.shared_bytes - kStaticBytes - tables) / (2 * row + 2 * tables);
}

TileLimits tile_limits(
    const TileKernel& kernel,
    int taps,
    const Device& device,
    Shape& shape) {
  TileLimits limits;
  for (;; shape.lanes /= 2) {
    const int row = shape.lanes * kernel.width() * size_of_sum(kernel.type);
    const int filters =
        2 * taps * (kernel.per_channel ? row : size_of_sum(kernel.type));
    // Border tables, and rows beyond the ends.
    const int borders = (2 * taps + 1) *
        (kMaxLevels * static_cast<int>(sizeof(BorderRow)) + row);
    const int room = device.shared_bytes - kStaticBytes - filters - borders;
    limits.capacity = std::max(room, 0) / row;
    if (limits.capacity > 2 * taps || shape.lanes == 1) {
      break;
    }
  }
  count_channel_tiles(kernel, shape);
  // Two sweeps of the threads a tile: fewer rows are computed twice.
  limits.sweep =
      shape.threads / shape.lanes * kernel.outputs() * (kernel.fine ? 1 : 2);
  const int64_t others = shape.batch * shape.channel_tiles;
  const int blocks = kBlocksWanted * device.multiprocessors;
  limits.tiles =
      static_cast<int>(std::max<int64_t>((blocks + others - 1) / others, 1));
  return limits;
}

} // namespace signalllm::cuda
