#pragma once

#include "ops/mps/library.h"
#include "ops/signal.h"

#include <optional>

/// How the causal transforms are cut into tiles (causal_tile.metal).
namespace signalllm::mps {

/// As in causal_tile.metal.
struct CausalTile {
  uint32_t length, inner, rows, halo, shift, levels, taps;
  uint32_t filter_rows, weight_rows, area;
};

struct CausalPlan {
  CausalTile tile;
  Grid grid;
  /// The correlations of a tile: how many threads share the rows of a pair of
  /// tap and channel, and how many shares the launch leaves.
  uint32_t slices, shares;
};

/// A tile with `copies` of its positions in threadgroup memory: as many
/// channels as leave it more rows than twice its halo, or the whole signal.
/// Empty where no tile fits, and where 32-bit indices do not suffice: the
/// composite path is for those, a few launches a level.
std::optional<CausalPlan> plan_causal(
    const ops::Signal& signal,
    const at::Tensor& filter,
    int64_t levels,
    int64_t copies);

} // namespace signalllm::mps
