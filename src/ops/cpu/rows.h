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

/// Where a job's rows lie in a tensor: side by side the rows of `entries`
/// entries of the batch, row r of entry e at start + e entry_stride + r stride.
struct Place {
  Storage storage = Storage::float32;
  int64_t start = 0, stride = 0;
  int64_t entries = 1, entry_stride = 0;

  /// What is computed on needs no copy.
  bool in_place() const {
    return entries == 1 && !is_half(storage);
  }
};

/// Rows of a place to contiguous ones of `channels` values. `line` has room
/// for the rows of one entry where there are several.
template <class A>
void load_rows(
    const Place& place,
    const void* tensor,
    Range rows,
    A* to,
    int64_t channels,
    A* line);

/// The other way round.
template <class A>
void store_rows(
    const Place& place,
    const A* from,
    void* tensor,
    Range rows,
    int64_t channels,
    A* line);

} // namespace signalllm::ops::cpu
