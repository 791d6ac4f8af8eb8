#pragma once

#include "ops/cpu/bank_kernels.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

/// What the drivers of the row kernels share: threads, scratch memory, tiles.
namespace signalllm::ops::cpu {

/// What tensors hold. Half precision is computed in float.
enum class Storage { float32, float64, bfloat16, float16 };

inline bool is_half(Storage s) {
  return s == Storage::bfloat16 || s == Storage::float16;
}

inline int64_t bytes_of(Storage s) {
  return s == Storage::float64 ? 8 : s == Storage::float32 ? 4 : 2;
}

/// Rows `[first, last)`.
struct Range {
  int64_t first = 0, last = 0;

  int64_t size() const {
    return last > first ? last - first : 0;
  }
  void include(int64_t row) {
    if (size() == 0) {
      *this = {row, row + 1};
    } else {
      first = row < first ? row : first;
      last = row >= last ? row + 1 : last;
    }
  }
};

/// Runs job(i), i < jobs, on ATen's threads. `cost` is about the number of
/// values one job handles: small work stays on one thread.
void run_jobs(
    int64_t jobs,
    int64_t cost,
    const std::function<void(int64_t)>& job);

/// Threads that `run_jobs` can use here.
int64_t available_threads();

/// This thread's scratch memory, kept from call to call: the pages of a fresh
/// block would cost more than the transform.
class Scratch {
 public:
  explicit Scratch(size_t bytes);

  template <class A>
  A* take(int64_t count) {
    void* at = next_;
    next_ += (static_cast<size_t>(count) * sizeof(A) + 63) / 64 * 64;
    return static_cast<A*>(at);
  }

  static size_t bytes_for(int64_t count, size_t size) {
    return (static_cast<size_t>(count) * size + 63) / 64 * 64;
  }

 private:
  char* next_;
};

/// Memory aligned to 64 bytes.
struct AlignedDelete {
  void operator()(char* p) const;
};
using AlignedMemory = std::unique_ptr<char[], AlignedDelete>;
AlignedMemory aligned_memory(size_t bytes);

/// Values of one tile of the input: 512 KiB, so that it and the levels below
/// it stay in a core's second cache; half of that where float copies of half
/// precision lie beside it.
inline int64_t tile_values(Storage s) {
  return s == Storage::float32 ? 128 * 1024 : 64 * 1024;
}

/// How the channels are cut: whole rows where `rows` of them fit in a tile,
/// else a multiple of 32 channels.
inline int64_t channel_block(int64_t channels, int64_t rows, int64_t values) {
  if (rows < 1 || channels <= 32 || channels * rows <= values) {
    return channels;
  }
  const int64_t fit = values / rows / 32 * 32;
  return fit < 32 ? 32 : fit < channels ? fit : channels;
}

/// From here on memory, not the caches, is what a call works on.
inline constexpr int64_t kStreamBytes = int64_t{32} << 20;

} // namespace signalllm::ops::cpu
