#include "causal.h"

#include <algorithm>

namespace signalllm::cuda {

void plan_causal(
    const int64_t* dilations,
    int count,
    const TileLimits& limits,
    CausalParams& p) {
  const int64_t n = p.length, reach = p.filters.taps - 1;
  const int buffers = p.kind == CausalKind::filter ? 3 : 2;
  for (int steps = std::min(count, kMaxSteps); steps > 0; --steps) {
    int64_t halo = 0; // of S_1
    for (int i = 1; i < steps; ++i) {
      halo = std::min(halo + reach * dilations[i], n);
    }
    int64_t tile = std::max<int64_t>(limits.sweep, 2 * halo);
    while (tile > 64 && tile > 2 * halo &&
           (n + tile - 1) / tile < limits.tiles) {
      tile /= 2;
    }
    tile = std::min(tile, n);
    const int64_t rows = std::min(tile + halo, n);
    if (steps > 1 && buffers * rows > limits.capacity) {
      continue;
    }
    p.steps = steps;
    p.tile = static_cast<int>(tile);
    p.tiles = static_cast<int>((n + tile - 1) / tile);
    p.halo[steps] = 0;
    for (int i = steps - 1; i >= 0; --i) {
      p.dilation[i] = static_cast<int>(std::min(dilations[i], n));
      p.halo[i] =
          static_cast<int>(std::min(p.halo[i + 1] + reach * dilations[i], n));
    }
    p.rows[0] = p.rows[1] = 0;
    for (int i = 1; i < steps; ++i) {
      p.rows[i % 2] = std::max(
          p.rows[i % 2], static_cast<int>(std::min(tile + p.halo[i], n)));
    }
    return;
  }
}

} // namespace signalllm::cuda
