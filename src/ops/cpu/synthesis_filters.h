#pragma once

#include "ops/cpu/lattice.h"
#include "ops/cpu/tensors.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace signalllm::ops::cpu {

/// A pair of filters as Synthesis wants them.
template <class A>
std::vector<A> synthesis_filters(
    const at::Tensor& lo,
    const at::Tensor& hi,
    const Layout& layout,
    bool reversed) {
  const auto l = read_filter<A>(lo, layout, reversed);
  const auto h = read_filter<A>(hi, layout, reversed);
  const int64_t taps = lo.size(-1);
  const int64_t width = static_cast<int64_t>(l.size()) / taps;
  std::vector<A> out(2 * taps * width);
  for (int64_t i = 0; i < taps / 2; ++i) {
    const int64_t even = (taps - 2 - 2 * i) * width;
    A* to = out.data() + 4 * i * width;
    std::copy_n(l.data() + even, 2 * width, to);
    std::copy_n(h.data() + even, 2 * width, to + 2 * width);
  }
  return out;
}

/// The lattice of filters as `synthesis_filters` gives them.
template <class A>
Lattice<A> synthesis_lattice(
    const std::vector<A>& filters,
    int64_t taps,
    bool per_channel) {
  if (per_channel) {
    return {};
  }
  constexpr int64_t most = 2 * Lattice<A>::kMaxStages;
  if (taps > most) {
    return {};
  }
  A lo[most], hi[most];
  for (int64_t i = 0; i < taps / 2; ++i) {
    const int64_t even = taps - 2 - 2 * i;
    std::copy_n(filters.data() + 4 * i, 2, lo + even);
    std::copy_n(filters.data() + 4 * i + 2, 2, hi + even);
  }
  return find_lattice(lo, hi, taps);
}

/// Sums `[taps][width]` with the taps in the opposite order.
inline void reverse_taps(std::vector<double>& sums, int64_t width) {
  const int64_t taps =
      width > 0 ? static_cast<int64_t>(sums.size()) / width : 0;
  for (int64_t k = 0; k < taps / 2; ++k) {
    std::swap_ranges(
        sums.begin() + k * width,
        sums.begin() + (k + 1) * width,
        sums.begin() + (taps - 1 - k) * width);
  }
}

} // namespace signalllm::ops::cpu
