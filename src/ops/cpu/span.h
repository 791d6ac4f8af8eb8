#pragma once

#include "ops/cpu/rows.h"

#include <algorithm>
#include <utility>

namespace signalllm::ops::cpu {

/// Up to two ranges of rows, the lower first: what a tile at one end of a
/// signal needs where the other end goes on from it.
struct Span {
  Range low, high;

  int64_t size() const {
    return low.size() + high.size();
  }
  void include(Range r) {
    if (r.size() == 0) {
      return;
    }
    if (low.size() == 0) {
      low = r;
    } else if (high.size() == 0 && !touch(low, r)) {
      high = r;
      if (high.first < low.first) {
        std::swap(low, high);
      }
    } else {
      Range& to = high.size() > 0 && touch(high, r) ? high : low;
      to = {std::min(to.first, r.first), std::max(to.last, r.last)};
      if (high.size() > 0 && touch(low, high)) {
        low = {std::min(low.first, high.first), std::max(low.last, high.last)};
        high = {};
      }
    }
  }
  void include(const Span& other) {
    include(other.low);
    include(other.high);
  }

 private:
  static bool touch(Range a, Range b) {
    return a.first <= b.last && b.first <= a.last;
  }
};

/// Rows of a Span in memory, or of a whole signal.
template <class A>
struct Strip {
  A* low = nullptr; // row 0, which may lie before the memory
  int64_t stride = 0;
  A* high = nullptr;
  int64_t split = 0; // the first row that `high` has

  Strip() = default;
  Strip(A* row0, int64_t stride) : low(row0), stride(stride), high(row0) {}
  /// Both ranges one after the other.
  Strip(A* data, int64_t stride, const Span& span)
      : low(data - span.low.first * stride), stride(stride),
        high(data + (span.low.size() - span.high.first) * stride),
        split(span.high.first) {
    if (span.high.size() == 0) {
      high = low;
    }
  }
  operator Strip<const A>() const {
    Strip<const A> out;
    out.low = low;
    out.stride = stride;
    out.high = high;
    out.split = split;
    return out;
  }

  A* at(int64_t row) const {
    return (row < split ? low : high) + row * stride;
  }
};

/// Rows of a tensor: those of `span` in `copy`, or where they are.
template <class A>
Strip<const A> load_strip(
    const Place& place,
    const void* tensor,
    const Span& span,
    A* copy,
    int64_t channels,
    A* line) {
  if (place.in_place()) {
    return Strip<const A>(
        static_cast<const A*>(tensor) + place.start, place.stride);
  }
  const Strip<A> to(copy, channels, span);
  for (const Range part : {span.low, span.high}) {
    if (part.size() > 0) {
      load_rows(place, tensor, part, to.at(part.first), channels, line);
    }
  }
  return to;
}

} // namespace signalllm::ops::cpu
