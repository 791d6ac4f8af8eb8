#include "ops/cpu/rows.h"

#include <cstring>
#include <type_traits>

namespace signalllm::ops::cpu {

template <class A>
void load_rows(
    Storage storage,
    const void* from,
    int64_t start,
    int64_t stride,
    A* to,
    int64_t to_stride,
    int64_t rows,
    int64_t channels) {
  if (stride == channels && to_stride == channels) {
    channels *= rows; // one run
    rows = 1;
  }
  for (int64_t r = 0; r < rows; ++r, start += stride, to += to_stride) {
    if constexpr (std::is_same_v<A, float>) {
      if (is_half(storage)) {
        const auto* p = static_cast<const uint16_t*>(from) + start;
        kernel_set().half.widen(half_of(storage), p, to, channels);
        continue;
      }
    }
    std::memcpy(to, static_cast<const A*>(from) + start, channels * sizeof(A));
  }
}

template <class A>
void store_rows(
    Storage storage,
    const A* from,
    int64_t from_stride,
    void* to,
    int64_t start,
    int64_t stride,
    int64_t rows,
    int64_t channels) {
  if (stride == channels && from_stride == channels) {
    channels *= rows; // one run
    rows = 1;
  }
  for (int64_t r = 0; r < rows; ++r, start += stride, from += from_stride) {
    if constexpr (std::is_same_v<A, float>) {
      if (is_half(storage)) {
        auto* p = static_cast<uint16_t*>(to) + start;
        kernel_set().half.narrow(half_of(storage), from, p, channels);
        continue;
      }
    }
    std::memcpy(static_cast<A*>(to) + start, from, channels * sizeof(A));
  }
}

template <class A>
void load_rows(
    const Place& place,
    const void* tensor,
    Range rows,
    A* to,
    int64_t channels,
    A* line) {
  const int64_t width = channels / place.entries;
  const int64_t start = place.start + rows.first * place.stride;
  if (place.entries == 1) {
    load_rows(
        place.storage,
        tensor,
        start,
        place.stride,
        to,
        channels,
        rows.size(),
        channels);
    return;
  }
  const int64_t count = rows.size() * width;
  for (int64_t e = 0; e < place.entries; ++e, to += width) {
    const int64_t at = start + e * place.entry_stride;
    const A* from = line;
    if (is_half(place.storage)) {
      load_rows(place.storage, tensor, at, count, line, count, 1, count);
    } else {
      from = static_cast<const A*>(tensor) + at;
    }
    for (int64_t r = 0; r < rows.size(); ++r) {
      for (int64_t c = 0; c < width; ++c) {
        to[r * channels + c] = from[r * width + c];
      }
    }
  }
}

template <class A>
void store_rows(
    const Place& place,
    const A* from,
    void* tensor,
    Range rows,
    int64_t channels,
    A* line) {
  const int64_t width = channels / place.entries;
  const int64_t start = place.start + rows.first * place.stride;
  if (place.entries == 1) {
    store_rows(
        place.storage,
        from,
        channels,
        tensor,
        start,
        place.stride,
        rows.size(),
        channels);
    return;
  }
  const bool half = is_half(place.storage);
  const int64_t count = rows.size() * width;
  for (int64_t e = 0; e < place.entries; ++e, from += width) {
    const int64_t at = start + e * place.entry_stride;
    A* to = half ? line : static_cast<A*>(tensor) + at;
    for (int64_t r = 0; r < rows.size(); ++r) {
      for (int64_t c = 0; c < width; ++c) {
        to[r * width + c] = from[r * channels + c];
      }
    }
    if (half) {
      store_rows(place.storage, line, count, tensor, at, count, 1, count);
    }
  }
}

#define SIGNALLLM_PLACED(A)                                                   \
  template void load_rows(const Place&, const void*, Range, A*, int64_t, A*); \
  template void store_rows(const Place&, const A*, void*, Range, int64_t, A*);
SIGNALLLM_PLACED(float)
SIGNALLLM_PLACED(double)
#undef SIGNALLLM_PLACED

template void load_rows(
    Storage,
    const void*,
    int64_t,
    int64_t,
    float*,
    int64_t,
    int64_t,
    int64_t);
template void load_rows(
    Storage,
    const void*,
    int64_t,
    int64_t,
    double*,
    int64_t,
    int64_t,
    int64_t);
template void store_rows(
    Storage,
    const float*,
    int64_t,
    void*,
    int64_t,
    int64_t,
    int64_t,
    int64_t);
template void store_rows(
    Storage,
    const double*,
    int64_t,
    void*,
    int64_t,
    int64_t,
    int64_t,
    int64_t);

} // namespace signalllm::ops::cpu
