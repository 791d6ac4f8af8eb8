#pragma once

// What the streaming kernels share. A thread owns kStreamVector neighbouring
// channels of one batch entry and walks a segment of the sequence; nothing is
// shared between threads, so there is no barrier. Threads run through channels
// first, then batch entries, then segments. The first segment and the second
// one have the start and the end of the sequence, no more: they take long for
// what they do, and run beside the others, which touch no border.
//
// A step takes 2^levels rows of the signal, or coefficients for as many, and
// keeps per level the partial sums of the outputs that later values complete
// (the transposed form of a filter, so that nothing is moved from step to
// step). A segment starts some steps early, without storing, until those sums
// are whole. Steps that touch the ends of the sequence run in a function of
// their own, which knows the border rules: loops over arrays in local memory,
// because code that runs once costs more to fetch than to run.

#include "end_rule.cuh"
#include "tile_block.cuh"

#include <type_traits>

namespace signalllm::cuda {

/// Also of half types: with eight channels a thread's sums take the registers
/// of the warps that hide latency, which on an H100 costs more than it saves.
constexpr int kStreamVector = 4;
constexpr int kStreamThreads = 128;
constexpr int kStreamLevels = 3;
constexpr int kStreamTaps = 8;
/// Rows of one iteration, and how many iterations the ring holds.
constexpr int kStreamRows = 1 << kStreamLevels;
constexpr int kStreamSlots = 2;

#if defined(__CUDACC__)
#define SIGNALLLM_EDGE static __host__ __device__ __noinline__
#else
#define SIGNALLLM_EDGE static
#endif

struct StreamShape {
  Filters filters;
  bool folds = false; // the border rule is not zero
  EndRule rule;
  int levels = 1;
  int length[kStreamLevels + 1] = {};
  int batch = 1;
  int channels = kStreamVector;
  int columns = 1; // vectors of channels
  int segments = 1; // 1: the whole sequence
  int head = 0; // steps of the first segment
  int tail = 0; // first step of the second one
  int steps = 1; // of the others; the last one takes what is left
  int total = 1; // steps of the sequence
  int inner_begin = 0; // steps [inner_begin, inner_end) touch no border
  int inner_end = 0;
  int warm = 0; // steps before a segment's own

  SIGNALLLM_HD int64_t threads() const {
    return static_cast<int64_t>(batch) * segments * columns;
  }
};

/// One access: the vector's channels of a row.
template <class T>
using StreamRow = Pack<T, kStreamVector>;

template <class T>
SIGNALLLM_HD void widen(const StreamRow<T>& from, float (&x)[kStreamVector]) {
  StreamRow<T> row;
#if defined(__CUDA_ARCH__)
  // One access, however few of the values are next.
  using Word = std::conditional_t<sizeof(row) == 16, uint4, uint2>;
  const Word word = *reinterpret_cast<const Word*>(&from);
  memcpy(&row, &word, sizeof(row));
#else
  row = from;
#endif
#pragma unroll
  for (int v = 0; v < kStreamVector; ++v) {
    x[v] = widen(row.v[v]);
  }
}

/// Copies a row to shared memory without passing through registers.
template <class T>
SIGNALLLM_HD void fetch(StreamRow<T>* to, const T* from) {
#if defined(__CUDA_ARCH__)
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  if constexpr (sizeof(StreamRow<T>) == 16) {
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from));
  } else {
    asm volatile(
        "cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(at), "l"(from));
  }
#else
  memcpy(to, from, sizeof(*to));
#endif
}

SIGNALLLM_HD void fetch_commit() {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.commit_group;");
#endif
}

/// Waits until at most `left` of the committed groups are under way.
template <int left>
SIGNALLLM_HD void fetch_wait() {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
#endif
}

template <int F>
struct StreamFilters {
  float lo[F], hi[F];

  SIGNALLLM_HD explicit StreamFilters(const Filters& f) {
#pragma unroll
    for (int j = 0; j < F; ++j) {
      const int tap = f.reversed ? F - 1 - j : j;
      lo[j] = static_cast<const float*>(f.lo)[tap];
      hi[j] = static_cast<const float*>(f.hi)[tap];
    }
  }
};

/// Partial sums of the levels: of the i-th output (or pair of outputs) to come,
/// with lo and hi in analysis, of the even and the odd row in synthesis.
template <int F, int J>
struct StreamState {
  static constexpr int pending = F > 2 ? F / 2 - 1 : 1;
  float sums[J][pending][2][kStreamVector];

  SIGNALLLM_HD void reset() {
#pragma unroll
    for (int l = 0; l < J; ++l) {
#pragma unroll
      for (int i = 0; i < pending; ++i) {
        clear(sums[l][i][0]);
        clear(sums[l][i][1]);
      }
    }
  }
};

/// Where a thread works.
struct StreamPlace {
  int64_t batch;
  int channel, segment;
  bool active;
  int start, first, last; // steps: walked from `start`, stored from `first`

  SIGNALLLM_HD StreamPlace(const StreamShape& p, int64_t thread) {
    active = thread < p.threads();
    const auto t = static_cast<uint32_t>(active ? thread : 0);
    const uint32_t rest = t / p.columns;
    channel = static_cast<int>(t % p.columns) * kStreamVector;
    segment = static_cast<int>(rest / p.batch);
    batch = rest % p.batch;
    if (segment == 0) {
      first = 0;
      last = p.segments == 1 ? p.total : p.head;
    } else if (segment == 1) {
      first = p.tail;
      last = p.total;
    } else {
      first = p.head + (segment - 2) * p.steps;
      last = first + p.steps < p.tail ? first + p.steps : p.tail;
    }
    start = segment == 0 ? 0 : first - p.warm;
  }
};

} // namespace signalllm::cuda
