#include "ops/mps/causal_tile.h"

#include <algorithm>

namespace signalllm::mps {
namespace {

constexpr int64_t kTileFloats = 8192; // 32 KiB, all of Metal's
constexpr int64_t kLevels = 12; // buffers for them

} // namespace

std::optional<CausalPlan> plan_causal(
    const ops::Signal& s,
    const at::Tensor& filter,
    int64_t levels,
    int64_t copies) {
  const int64_t most = int64_t{1} << 31;
  const int64_t taps = filter.size(-1);
  const int64_t numel = s.batch * s.length * s.inner;
  if (levels > kLevels || taps > 4096 || numel == 0 || numel >= most) {
    return std::nullopt;
  }
  const int64_t halo =
      std::min((taps - 1) * ((int64_t{1} << levels) - 1), s.length);
  int64_t shift = 5, rows = 0, span = 0;
  for (; shift >= 0; --shift) {
    const int64_t width = int64_t{1} << shift;
    if (width / 2 >= s.inner) {
      continue;
    }
    span = kTileFloats / copies / width;
    rows = span >= s.length ? s.length : span - halo;
    if (rows == s.length || rows >= std::max<int64_t>(2 * halo, 64) ||
        (width == 1 && rows >= std::max<int64_t>(halo / 4, 16))) {
      break;
    }
  }
  if (shift < 0) {
    return std::nullopt;
  }
  span = std::min(span, s.length);
  const auto size = [](int64_t n) { return static_cast<uint32_t>(n); };
  CausalPlan plan;
  auto& p = plan.tile;
  p.length = size(s.length);
  p.inner = size(s.inner);
  p.rows = size(rows);
  p.halo = size(halo);
  p.shift = size(shift);
  p.levels = size(levels);
  p.taps = size(taps);
  p.filter_rows = filter.dim() == 2 ? size(s.channels) : 1;
  p.weight_rows = 1;
  p.area = size(span << shift);
  auto& g = plan.grid;
  g.x = (s.inner + (int64_t{1} << shift) - 1) >> shift;
  g.y = (s.length + rows - 1) / rows;
  g.z = s.batch;
  plan.slices = size(std::clamp<int64_t>(
      static_cast<int64_t>(g.threads) / (taps << shift), 1, rows));
  plan.shares = size(static_cast<int64_t>(g.y * g.z)) * plan.slices;
  if (int64_t{plan.shares} * taps * s.inner * std::max<int64_t>(levels, 1) >=
      most) {
    return std::nullopt;
  }
  return plan;
}

} // namespace signalllm::mps
