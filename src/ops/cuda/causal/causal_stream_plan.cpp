#include "causal.h"

#include <algorithm>

namespace signalllm::cuda {
namespace {

/// Of a block's shared memory, for what is not a ring: filters and weights.
constexpr int kOtherBytes = 8 * 1024;
constexpr int kGroupBytes =
    kCausalRows * kCausalChannels * static_cast<int>(sizeof(float));
/// Chunks that slot() can count.
constexpr int kMostChunks = 1 << 17;

int ceil_divide(int64_t a, int64_t b) {
  return static_cast<int>((a + b - 1) / b);
}

/// The ring of a state that a filter of this dilation reads.
CausalRing ring_of(int64_t reach, int first) {
  CausalRing ring;
  ring.first = first;
  ring.groups = kCausalGroups + ceil_divide(reach, kCausalRows);
  ring.inverse = static_cast<uint32_t>((uint64_t{1} << 32) / ring.groups + 1);
  return ring;
}

} // namespace

int plan_causal_stream(
    const int64_t* dilations,
    int count,
    int multiprocessors,
    int shared_bytes,
    CausalStreamParams& p) {
  // Two blocks share a multiprocessor.
  const int room = shared_bytes / 2 - kOtherBytes;
  const int64_t reach = p.filters.taps - 1;
  // How far swt looks ahead, in dilations.
  const int offset = p.filters.taps / 2 - (p.kind == CausalKind::iswt ? 1 : 0);
  const bool reversed = descends(p.kind);
  // The short dilations together; they come first, or last.
  const auto dilation = [&](int i) {
    return dilations[reversed ? count - 1 - i : i];
  };
  // A second ring: of the longest dilation, or for each.
  const bool once = p.kind == CausalKind::filter_transposed;
  const bool second = once || p.kind == CausalKind::iswt;
  int64_t rows = 0;
  int groups = 0, steps = 0;
  for (; steps < std::min(count, kCausalSteps); ++steps) {
    const int64_t back = reach * dilation(steps);
    if (back > shared_bytes) {
      break;
    }
    const int more = kCausalGroups + ceil_divide(back, kCausalRows);
    const int all = groups + (second ? 2 : 1) * more;
    if (all * kGroupBytes > room) {
      break;
    }
    groups = all - (once ? more : 0);
    rows += back;
  }
  p.steps = steps;
  p.groups = 0;
  for (int i = 0; i < steps; ++i) {
    const int64_t d = dilation(reversed ? steps - 1 - i : i);
    p.dilation[i] = static_cast<int>(d);
    p.ring[i] = ring_of(reach * d, p.groups);
    p.groups += p.ring[i].groups;
    p.shift[i + 1] = is_circular(p.kind)
        ? static_cast<int>((p.shift[i] + d * offset) % p.length)
        : 0;
  }
  if (steps == 0) {
    return 0;
  }
  for (int i = 0; second && i < (once ? 1 : steps); ++i) {
    auto& ring = p.ring[steps + i] = p.ring[i];
    ring.first = p.groups;
    p.groups += ring.groups;
  }
  p.channel_tiles = ceil_divide(p.channels, kCausalChannels);
  p.warm = ceil_divide(rows, kCausalChunk);
  const int all = ceil_divide(p.length, kCausalChunk);
  const int resident = std::clamp(
      shared_bytes / (p.groups * kGroupBytes + 2048),
      1,
      causal_blocks(p.kind, p.filters.taps, p.gradient));
  const int64_t tiles = static_cast<int64_t>(p.batch) * p.channel_tiles;
  const auto wanted = static_cast<int>(std::clamp<int64_t>(
      static_cast<int64_t>(resident) * multiprocessors / tiles, 1, all));
  // A segment is worth its start.
  p.chunks = std::max({ceil_divide(all, wanted), (p.warm + 1) / 2, 1});
  p.chunks = std::min(p.chunks, kMostChunks);
  p.segments = ceil_divide(all, p.chunks);
  return steps;
}

} // namespace signalllm::cuda
