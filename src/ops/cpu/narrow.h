#pragma once

#include "ops/cpu/jobs.h"

#include <algorithm>
#include <vector>

namespace signalllm::ops::cpu {

/// Rows of fewer than 64 bytes would leave vectors empty. They are computed
/// side by side as one run of values, `width` at a time: the tap of the next
/// row lies `channels` values on, whichever channel a value belongs to.
template <class A>
struct Narrow {
  int64_t channels = 0;
  int64_t width = 0; // 0: the rows are not narrow
  int64_t rows = 0; // computed at once, so that all lies in the first cache

  Narrow() = default;
  Narrow(int64_t channels, bool per_channel) : channels(channels) {
    if (channels * sizeof(A) >= 64) {
      return;
    }
    constexpr int64_t kValues = 8 * 1024 / sizeof(A);
    width = 2 * kernels<A>().lanes;
    if (per_channel) { // every one of them begins with channel 0
      width = (width + channels - 1) / channels * channels;
    }
    rows = std::max<int64_t>(1, kValues / channels / width) * width;
  }

  /// Filters `[taps][channels]` repeated to `[taps][width]`.
  std::vector<A> repeated(const A* filters, int64_t taps) const {
    std::vector<A> out(taps * width);
    for (int64_t k = 0; k < taps; ++k) {
      for (int64_t i = 0; i < width; ++i) {
        out[k * width + i] = filters[k * channels + i % channels];
      }
    }
    return out;
  }

  /// Memory for `count` rows, of which a kernel may read `width` values more.
  int64_t space(int64_t count) const {
    return (count * channels + width + 15) / 16 * 16;
  }
};

} // namespace signalllm::ops::cpu
