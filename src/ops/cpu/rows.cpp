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
