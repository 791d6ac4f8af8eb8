#pragma once

#include "ops/cpu/jobs.h"

namespace signalllm::ops::cpu {

inline Half half_of(Storage s) {
  return s == Storage::bfloat16 ? Half::bfloat16 : Half::float16;
}

/// Rows of a tensor, from value `start` on and `stride` apart, to A.
template <class A>
void load_rows(
    Storage storage,
    const void* from,
    int64_t start,
    int64_t stride,
    A* to,
    int64_t to_stride,
    int64_t rows,
    int64_t channels);

/// Rows of A to a tensor.
template <class A>
void store_rows(
    Storage storage,
    const A* from,
    int64_t from_stride,
    void* to,
    int64_t start,
    int64_t stride,
    int64_t rows,
    int64_t channels);

} // namespace signalllm::ops::cpu
