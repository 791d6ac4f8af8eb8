// The text of the kernels of bank_kernels.h, compiled once for every
// instruction set by a file that defines SIGNALLLM_KERNELS (a namespace and
// the suffix of `kernel_set_`) and SIGNALLLM_VECTOR_BYTES.
//
// A tile is R rows x V vectors of channels. `fir` keeps R x V accumulators for
// each filter and walks over the taps: per tap R x V row loads and two
// broadcasts feed 2 R V multiply-adds, whatever the number of taps. `pairs`
// does the same with the even and the odd output row in the place of the two
// filters. Filters of up to eight taps have tiles of their own, with the taps
// in registers, and orthogonal ones rotations in the place of taps
// (fir_lattice.inc). What is left of the rows and channels at the end of a tile
// is done by a whole tile that overlaps the one before: every kernel but the
// gradient only writes what it computed, so doing it twice changes nothing.

#include "ops/cpu/bank_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace signalllm::ops::cpu {
namespace SIGNALLLM_KERNELS {
namespace {

#include "ops/cpu/vector.h"

// One after the other: each uses what the ones before define.
// clang-format off
#include "ops/cpu/rows.inc"
#include "ops/cpu/fir_fixed.inc"
#include "ops/cpu/pairs_fixed.inc"
#include "ops/cpu/fir_lattice.inc"
#include "ops/cpu/pairs_lattice.inc"
#include "ops/cpu/fir.inc"
#include "ops/cpu/pairs.inc"
#include "ops/cpu/fir_gradient.inc"
#include "ops/cpu/phases.inc"
#include "ops/cpu/half.inc"
// clang-format on

template <class A>
void scale(const Scale<A>& s) {
  for (int64_t r = 0; r < s.rows; ++r) {
    const A* x = s.x + r * s.x_stride;
    const A* add = s.add ? s.add + r * s.add_stride : nullptr;
    A* y = s.y + r * s.y_stride;
    const A w = s.w_per_channel ? A(0) : s.w[0];
    if (s.w_per_channel && add) {
#pragma GCC ivdep
      for (int64_t c = 0; c < s.channels; ++c) {
        y[c] = add[c] + s.w[c] * x[c];
      }
    } else if (s.w_per_channel) {
#pragma GCC ivdep
      for (int64_t c = 0; c < s.channels; ++c) {
        y[c] = s.w[c] * x[c];
      }
    } else if (add) {
#pragma GCC ivdep
      for (int64_t c = 0; c < s.channels; ++c) {
        y[c] = add[c] + w * x[c];
      }
    } else {
#pragma GCC ivdep
      for (int64_t c = 0; c < s.channels; ++c) {
        y[c] = w * x[c];
      }
    }
  }
}

template <class A>
constexpr Kernels<A> make_kernels() {
  return {
      &fir<A>,
      &pairs<A>,
      &fir_gradient<A>,
      &scale<A>,
      &split<A>,
      &merge<A>,
      kWidth<A>,
      kTileRows};
}

} // namespace
} // namespace SIGNALLLM_KERNELS

#define SIGNALLLM_JOIN_(a, b) a##b
#define SIGNALLLM_JOIN(a, b) SIGNALLLM_JOIN_(a, b)

const KernelSet& SIGNALLLM_JOIN(kernel_set_, SIGNALLLM_KERNELS)() {
  static constexpr KernelSet set = {
      SIGNALLLM_KERNELS::make_kernels<float>(),
      SIGNALLLM_KERNELS::make_kernels<double>(),
      {&SIGNALLLM_KERNELS::widen, &SIGNALLLM_KERNELS::narrow}};
  return set;
}

} // namespace signalllm::ops::cpu
