#pragma once

#include <cstdint>

/// Row kernels of the filter banks on plain memory. One source text
/// (bank_kernels_impl.h) is compiled for several instruction sets; `kernels`
/// chooses at run time. Everything computes in A, float or double.
///
/// A row is `channels` contiguous values. Filters are either shared, tap k at
/// `taps[k]`, or one per channel, tap k at `taps[k * stride + channel]`;
/// `stride` 0 means shared.
namespace signalllm::ops::cpu {

/// Lanes of the partial sums that `fir_gradient` adds to for shared filters.
inline constexpr int64_t kSumLanes = 16;

/// Two orthogonal filters as rotations: with t = turns[k], stage k makes
/// (u + t v, v - t u) of (u, v); before all but the first, v is that of the
/// pair of rows before; at the end u and v are scaled. See lattice.h.
template <class A>
struct Lattice {
  static constexpr int kMaxStages = 10;
  int stages = 0; // 0: the filters have none, or none worth having
  A turns[kMaxStages] = {};
  A scale_lo = 0, scale_hi = 0;
};

/// Where a tap finds row 0, and how far its rows are apart.
template <class A>
struct TapRow {
  const A* x;
  int64_t step;
};

/// lo[r] = add[r] + sum_k taps_lo[k] x(r, k), hi[r] = sum_k taps_hi[k] x(r, k)
/// where x(r, k) = x + r row_step + k tap_step or, with a table,
/// table[r table_step + k], or, with tap_rows, tap_rows[k].x + r
/// tap_rows[k].step. `hi` and `add` may be null; `add` is not `lo`.
template <class A>
struct Fir {
  const A* x = nullptr;
  int64_t row_step = 0, tap_step = 0;
  const A* const* table = nullptr;
  int64_t table_step = 2;
  const TapRow<A>* tap_rows = nullptr;

  const A* taps_lo = nullptr;
  const A* taps_hi = nullptr;
  int64_t taps = 0, taps_stride = 0;
  /// The same two filters, for rows two taps apart; `add` is null then.
  const Lattice<A>* lattice = nullptr;

  A* lo = nullptr;
  A* hi = nullptr;
  const A* add = nullptr;
  int64_t lo_stride = 0, hi_stride = 0, add_stride = 0;

  int64_t rows = 0, channels = 0;
  /// Non-temporal stores; they want rows aligned to 64 bytes.
  bool stream_lo = false, stream_hi = false;
  /// Rows of x to fetch ahead of the ones in use; 0 none.
  int64_t prefetch = 0;
};

/// y[2r + e] = sum_{i < steps} taps[4i + e] a(r + i) + taps[4i + 2 + e] d(r +
/// i) for e = 0, 1 and rows from memory or from tables. With a tap_step,
/// a(r + i) is a + r a_stride + i tap_step, likewise d, and channels are a
/// vector or more.
template <class A>
struct Pairs {
  const A* a = nullptr;
  const A* d = nullptr;
  int64_t a_stride = 0, d_stride = 0, tap_step = 0;
  const A* const* a_table = nullptr;
  const A* const* d_table = nullptr;

  const A* taps = nullptr;
  int64_t steps = 0, taps_stride = 0;
  /// Of the synthesis filters as Fir would use them.
  const Lattice<A>* lattice = nullptr;

  A* y = nullptr;
  int64_t y_step = 0; // from pair to pair
  int64_t y_stride = 0; // from its first row to its second

  int64_t pairs = 0, channels = 0;
  bool stream = false;
  int64_t prefetch = 0;
};

/// sums_lo[k] += sum_r lo[r] x(r, k), sums_hi[k] += sum_r hi[r] x(r, k), x as
/// in Fir. Shared: tap k owns kSumLanes partial sums; otherwise it owns
/// `sums_stride` of them, one a channel.
template <class A>
struct FirGradient {
  const A* x = nullptr;
  int64_t row_step = 0, tap_step = 0;
  const A* const* table = nullptr;
  int64_t table_step = 2;
  const TapRow<A>* tap_rows = nullptr;

  const A* lo = nullptr;
  const A* hi = nullptr;
  int64_t lo_stride = 0, hi_stride = 0;

  A* sums_lo = nullptr;
  A* sums_hi = nullptr;
  int64_t taps = 0, sums_stride = 0;

  int64_t rows = 0, channels = 0;
};

/// y[r] = add[r] + w x[r]; w one value, or one a channel. `add` may be null,
/// and x or add may be y.
template <class A>
struct Scale {
  const A* x = nullptr;
  const A* add = nullptr;
  A* y = nullptr;
  int64_t x_stride = 0, add_stride = 0, y_stride = 0;
  const A* w = nullptr;
  bool w_per_channel = false;
  int64_t rows = 1, channels = 0;
};

enum class Half { bfloat16, float16 };

template <class A>
struct Kernels {
  void (*fir)(const Fir<A>&);
  void (*pairs)(const Pairs<A>&);
  void (*fir_gradient)(const FirGradient<A>&);
  void (*scale)(const Scale<A>&);
  /// Rows 2i and 2i + 1 of `channels` values, fewer than 64 bytes, to rows i of
  /// even and odd, and the other way round.
  void (*split)(const A* x, A* even, A* odd, int64_t pairs, int64_t channels);
  void (*merge)(
      const A* even,
      const A* odd,
      A* y,
      int64_t pairs,
      int64_t channels,
      bool past_caches);
  /// Values of one vector.
  int64_t lanes;
  /// Rows at once that the register tiles want; fewer run slower.
  int64_t tile_rows;
};

struct HalfKernels {
  void (*widen)(Half, const uint16_t* from, float* to, int64_t n);
  void (*narrow)(Half, const float* from, uint16_t* to, int64_t n);
};

struct KernelSet {
  Kernels<float> f32;
  Kernels<double> f64;
  HalfKernels half;
};

/// The kernels for this machine; ATEN_CPU_CAPABILITY=default or avx2 lowers
/// the choice, as it does for ATen.
const KernelSet& kernel_set();

template <class A>
const Kernels<A>& kernels();
template <>
inline const Kernels<float>& kernels<float>() {
  return kernel_set().f32;
}
template <>
inline const Kernels<double>& kernels<double>() {
  return kernel_set().f64;
}

const KernelSet& kernel_set_baseline();
const KernelSet& kernel_set_avx2();
const KernelSet& kernel_set_avx512();

} // namespace signalllm::ops::cpu
