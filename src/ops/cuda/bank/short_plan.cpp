#include "short_plan.h"

#include <algorithm>

namespace signalllm::cuda {
namespace {

/// Blocks of a multiprocessor while the signal is small; rows of the signal
/// that a tile has at least and at most, where that is enough for the ends.
constexpr int kBlocksWanted = 2;
constexpr int kLeastRows = 16;
constexpr int kMostRows = 128;
/// Two blocks share a multiprocessor.
constexpr int kSharedBytes = 100 * 1024;

bool begin(const TransformCase& c, ShortShape& p) {
  constexpr int64_t most_blocks = 65535;
  if (c.levels > kShortLevels || c.bank.taps > kShortTaps ||
      c.channels % kShortVector != 0 || c.batch > most_blocks ||
      !ends_apart(c)) {
    return false;
  }
  p.folds = c.bank.border != Border::zero;
  p.rule = end_rule(c.bank.border);
  p.levels = c.levels;
  std::copy(c.length, c.length + c.levels + 1, p.length);
  p.channels = c.channels;
  p.batch = static_cast<int>(c.batch);
  constexpr int width = kShortVector * kShortLanes;
  p.channel_tiles = (c.channels + width - 1) / width;
  return true;
}

/// Rows of the signal for a tile: few enough that the device is busy.
int tile_rows(const TransformCase& c, const ShortShape& p, int least) {
  const int64_t blocks = static_cast<int64_t>(kBlocksWanted) *
      c.device.multiprocessors /
      std::max<int64_t>(c.batch * p.channel_tiles, 1);
  const int64_t rows = c.length[0] / std::max<int64_t>(blocks, 1);
  int tile = std::max(kLeastRows, 1 << c.levels);
  while (tile < least || (tile < rows && tile < kMostRows)) {
    tile *= 2;
  }
  return tile;
}

bool fits(const TransformCase& c, const ShortShape& p) {
  return p.shared_bytes() <= std::min(kSharedBytes, c.device.shared_bytes) &&
      p.tiles < 65536;
}

} // namespace

bool plan_short(const TransformCase& c, ShortAnalysisParams& p) {
  if (!begin(c, p)) {
    return false;
  }
  const int F = c.bank.taps, J = c.levels;
  p.tile = std::max(tile_rows(c, p, 1) >> J, std::max(F - 1, 4));
  p.tiles = std::max(p.length[J] / p.tile, 1);
  // Inner levels alternate between two buffers; the last tile is the longest.
  int rows[2] = {0, 0}, room = p.length[J] - (p.tiles - 1) * p.tile;
  for (int l = J - 1; l >= 0; --l) {
    room = 2 * room + F - 2;
    rows[l % 2] = std::max(rows[l % 2], room);
  }
  p.odd_room = rows[0];
  p.rows = rows[0] + rows[1];
  return fits(c, p);
}

bool plan_short(const TransformCase& c, ShortSynthesisParams& p) {
  if (!begin(c, p)) {
    return false;
  }
  const int F = c.bank.taps, J = c.levels;
  // Rows that the border rule changes belong to the first or the last tile.
  p.tile = tile_rows(c, p, p.folds ? (2 * F - 2) << (J - 1) : 1);
  p.tiles = std::max(p.length[0] / p.tile, 1);
  int rows[2] = {0, 0};
  const int most = p.length[0] - (p.tiles - 1) * p.tile;
  p.rows = 0;
  for (int l = 1; l <= J; ++l) {
    const int room = (most >> l) + 2 * F;
    rows[l % 2] = std::max(rows[l % 2], room);
    p.detail_room[l] = p.rows;
    p.rows += room;
  }
  p.even_room = p.rows;
  p.odd_room = p.even_room + rows[0];
  p.aside = p.odd_room + rows[1];
  p.rows = p.aside + (p.folds ? 4 * F : 0);
  return fits(c, p);
}

} // namespace signalllm::cuda
