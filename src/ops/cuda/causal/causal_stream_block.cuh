#pragma once

// What the streaming kernels of the causal banks share. A block owns
// kCausalLanes vectors of kCausalVector channels of one batch entry and walks a
// segment of the sequence, kCausalChunk rows at a time; a thread has
// kCausalRows neighbouring rows of a chunk (a group) in registers. The rows of
// each step's state that others need, those of the chunk and as many before it
// as the filter reaches back, lie in a ring in shared memory. A segment starts
// some chunks early, without storing, until its states are whole.

#include "causal_kind.h"
#include "ops/cuda/bank/tile_block.cuh"

#include <type_traits>

namespace signalllm::cuda {

constexpr int kCausalVector = 4;
constexpr int kCausalRows = 4;
constexpr int kCausalLanes = 8;
constexpr int kCausalThreads = 128;
constexpr int kCausalChannels = kCausalLanes * kCausalVector;
constexpr int kCausalGroups = kCausalThreads / kCausalLanes;
constexpr int kCausalChunk = kCausalGroups * kCausalRows;
constexpr int kCausalSteps = 8;
constexpr int kCausalTaps = 8;

/// Blocks that share a multiprocessor as far as registers go.
constexpr int causal_blocks(CausalKind kind, int taps, bool gradient) {
  return gradient ? 2 : taps > 4 || kind == CausalKind::iswt ? 3 : 4;
}

using CausalPack = Pack<float, kCausalVector>;

/// Group g of a state lies at slot g modulo `groups`.
struct CausalRing {
  int first = 0; // its place among all rings' groups
  int groups = 1;
  uint32_t inverse = 0; // of groups, rounded up, in 2^-32

  SIGNALLLM_HD int slot(uint32_t group) const {
    const auto turns =
        static_cast<uint32_t>((static_cast<uint64_t>(group) * inverse) >> 32);
    return static_cast<int>(group - turns * groups);
  }
};

struct CausalStreamParams {
  Filters filters;
  CausalKind kind = CausalKind::analysis;
  bool gradient = false; // of the filters as well
  int length = 1, channels = kCausalVector, batch = 1;
  int channel_tiles = 1, segments = 1;
  int chunks = 1; // of a segment
  int warm = 0; // chunks before a segment's own
  int steps = 0;
  int dilation[kCausalSteps] = {};
  /// Of the steps' states; then one of the gradient (filter_transposed), or of
  /// the steps' details (iswt).
  CausalRing ring[2 * kCausalSteps];
  int groups = 0; // of all rings
  /// Circular ones: row m of state i stands for row m - shift_i.
  int shift[kCausalSteps + 1] = {};
  float scale = 1; // of the taps
  const void* input = nullptr; // S_0
  bool wide_input = false; // after steps of other launches
  /// analysis: written S_i - S_{i+1} where not null; transposed: read, the
  /// gradient of it. swt: written, iswt: read, the high band.
  void* details[kCausalSteps] = {};
  /// analysis: written S_{i+1} where not null, as sums. For the gradients of
  /// the filters: read, the state that step i's transpose leads to, as sums but
  /// for the last one, the operator's input.
  void* states[kCausalSteps] = {};
  /// The last state, or the filters' result; may be null in the transposes.
  void* output = nullptr;
  bool wide_output = false;
  /// The filter's last state, where other steps follow.
  void* state = nullptr;
  /// filters: weights [weight_channels, weight_stride], the index of each step;
  /// their input (transposed: gradient).
  const void* weight = nullptr;
  int weight_channels = 1, weight_stride = 0;
  int weights[kCausalSteps] = {};
  const void* signal = nullptr;
  bool first = false, last = false; // has the operator's first, last step
  /// Gradients of the filters, [batch segments, CausalStream::sums, channels].
  float* shares = nullptr;

  SIGNALLLM_HD int blocks() const {
    return batch * segments * channel_tiles;
  }
};

/// A place in a tensor that goes on row by row, circular ones around.
template <bool Circular>
struct CausalCursor {
  int64_t at;
  int stride, left, length;

  SIGNALLLM_HD void next() {
    at += stride;
    if constexpr (Circular) {
      if (--left == 0) {
        at -= static_cast<int64_t>(length) * stride;
        left = length;
      }
    }
  }
};

/// The rows of a group as they come from memory, so that they can be asked for
/// long before they are used.
template <class T>
struct CausalRaw {
  static constexpr int V = kCausalVector, R = kCausalRows;
  CausalPack rows[R];

  /// `count` rows from a place on; zero beyond.
  template <class Cursor>
  SIGNALLLM_HD void load(const void* from, bool wide, Cursor at, int count) {
#pragma unroll
    for (int r = 0; r < R; ++r, at.next()) {
      rows[r] = {};
      if (r < count) {
        if (sizeof(T) == sizeof(float) || wide) {
          fetch<float>(from, at.at, rows[r]);
        } else {
          fetch<T>(from, at.at, rows[r]);
        }
      }
    }
  }
  SIGNALLLM_HD void get(bool wide, float (&x)[R][V]) const {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      Pack<T, V> narrow;
      memcpy(&narrow, &rows[r], sizeof(narrow));
#pragma unroll
      for (int v = 0; v < V; ++v) {
        x[r][v] = sizeof(T) == sizeof(float) || wide ? rows[r].v[v]
                                                     : widen(narrow.v[v]);
      }
    }
  }

 private:
  template <class U>
  static SIGNALLLM_HD void fetch(const void* from, int64_t at, CausalPack& to) {
    const U* p = static_cast<const U*>(from) + at;
#if defined(__CUDA_ARCH__)
    using Word = std::conditional_t<sizeof(U) == 4, uint4, uint2>;
    const Word word = __ldg(reinterpret_cast<const Word*>(p));
    memcpy(&to, &word, sizeof(word));
#else
    memcpy(&to, p, sizeof(U) * V);
#endif
  }
};

} // namespace signalllm::cuda
