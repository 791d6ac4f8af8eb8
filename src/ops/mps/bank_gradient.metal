// The backward pass of wavedec or waverec with the filters' gradient. Tap j of
// the analysis of either gets, from every level,
//   sum_o a_l[o] ext(x_{l-1})[2 o + offset - j], and with d_l for hi:
// for wavedec x is the input's analysis and a, d are the gradients' synthesis,
// which ends in the input's gradient; for waverec a, d are the coefficients'
// synthesis and x is the gradient's analysis, which gives theirs. A group does
// both for its tile, adds up its share of the sums over the rows that it owns,
// and a second kernel adds the shares in their order.

// Share `part` of the tile takes every `parts`-th of the sum's terms. Shares
// are [share, band, tap, column] with one filter a channel; with one filter for
// all a group's columns are in one sum, and shares [share, band, tap].
template <typename T>
inline void bank_correlate(
    constant Bank& p,
    BankPlace at,
    int l,
    device const T* signal,
    device const float* wide_signal,
    device const T* top,
    device const float* wide_top,
    device const T* detail,
    device float* shares,
    threadgroup const float* memory) {
  const BankRuns own = bank_own(p, at.tile, l);
  const int n = p.length[l - 1];
  const int lanes = p.filters > 0 ? p.width : 1;
  const int together = p.width / lanes;
  const int blocks = (p.columns + p.width - 1) / p.width;
  const int terms = (own.end - own.begin) * together;
  for (int i = at.thread_index; i < p.parts * 2 * p.taps * lanes; i += at.threads) {
    const int lane = i % lanes;
    const int j = i / lanes % p.taps;
    const int band = i / lanes / p.taps % 2;
    const int part = i / lanes / p.taps / 2;
    if (at.first_column + lane >= p.columns) {
      continue;
    }
    float sum = 0.0f;
    for (int k = part; k < terms; k += p.parts) {
      const int here = lane + k % together;
      const int column = at.first_column + here;
      if (column >= p.columns) {
        continue;
      }
      const int o = own.begin + k / together;
      const BankRows<T> x = l == 1
          ? bank_rows_of(p, p.strides[0], column, p.wide_signal, signal, wide_signal, memory)
          : bank_tile_rows(p, p.analysis, at.tile, l - 1, here, signal, wide_signal, memory);
      const BankRows<T> y = band == 0
          ? bank_approximation(p, at, l, here, top, wide_top, memory)
          : bank_rows_of(p, p.strides[l], column, 0, detail, wide_top, memory);
      sum = fma(y.get(o), bank_extended(x, p.border, n, 2 * o + p.offset - j), sum);
    }
    const int tap = p.reconstruction != 0 ? p.taps - 1 - j : j;
    const int share = p.first_share +
        (p.filters > 0 ? at.tile * p.parts + part
                       : (at.tile * p.parts + part) * blocks + at.first_column / p.width);
    const int index = p.filters > 0
        ? ((share * 2 + band) * p.taps + tap) * p.columns + at.first_column + lane
        : (share * 2 + band) * p.taps + tap;
    // The same thread has the same sums at every level.
    shares[index] = l == p.levels ? sum : shares[index] + sum;
  }
}

// Grid: (blocks of columns, tiles).
template <typename T, typename F>
[[kernel]] void bank_gradient(
    device float* shares [[buffer(0)]],
    device T* out [[buffer(1)]],
    device float* wide_out [[buffer(2)]],
    device const T* signal [[buffer(3)]],
    device const float* wide_signal [[buffer(4)]],
    device const T* top [[buffer(5)]],
    device const float* wide_top [[buffer(6)]],
    device const F* lo [[buffer(7)]],
    device const F* hi [[buffer(8)]],
    device const T* d1 [[buffer(9)]],
    device const T* d2 [[buffer(10)]],
    device const T* d3 [[buffer(11)]],
    device const T* d4 [[buffer(12)]],
    device const T* d5 [[buffer(13)]],
    device const T* d6 [[buffer(14)]],
    device const T* d7 [[buffer(15)]],
    device const T* d8 [[buffer(16)]],
    device const T* d9 [[buffer(17)]],
    device const T* d10 [[buffer(18)]],
    device T* g1 [[buffer(19)]],
    device T* g2 [[buffer(20)]],
    device T* g3 [[buffer(21)]],
    device T* g4 [[buffer(22)]],
    device T* g5 [[buffer(23)]],
    device T* g6 [[buffer(24)]],
    device T* g7 [[buffer(25)]],
    device T* g8 [[buffer(26)]],
    device T* g9 [[buffer(27)]],
    device T* g10 [[buffer(28)]],
    constant Bank& p [[buffer(29)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  threadgroup float memory[8192];
  const BankPlace at = {int(group.y), int(group.x) * p.width, int(index), int(size.x)};
  const int analysed = (p.wanted & 3) != 0 ? p.levels : p.levels - 1;
  for (int l = 1; l <= analysed; ++l) {
    bank_analyse(
        p, at, l, signal, wide_signal, lo, hi,
        bank_detail(l, g1, g2, g3, g4, g5, g6, g7, g8, g9, g10),
        out, wide_out, memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  for (int l = p.levels; l > 0; --l) {
    device const T* detail = bank_detail(l, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10);
    bank_correlate(
        p, at, l, signal, wide_signal, top, wide_top, detail, shares, memory);
    if (l > 1 || (p.wanted & 4) != 0) {
      bank_synthesise(
          p, at, l, top, wide_top, detail, lo, hi, out, wide_out, memory);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

// The filters' gradients [channels or 1, taps] from `count` shares [share, band,
// tap, slot], a slot being a column or all. A group a value: a band of a channel's tap.
struct BankSum {
  int count;
  int taps;
  int slots;
  int filters;
};

template <typename F>
[[kernel]] void bank_gradient_sum(
    device F* lo [[buffer(0)]],
    device F* hi [[buffer(1)]],
    device const float* shares [[buffer(2)]],
    constant BankSum& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float sums[32];
  const int tap = int(group.x) % p.taps;
  const int band = int(group.x) / p.taps % 2;
  const int channel = int(group.x) / p.taps / 2;
  const int step = max(p.filters, 1);
  const int each = p.slots / step;
  float part = 0.0f;
  for (int i = int(index); i < p.count * each; i += int(size.x)) {
    const int slot = channel + i % each * step;
    part += shares[((i / each * 2 + band) * p.taps + tap) * p.slots + slot];
  }
  const float sum = simd_sum(part);
  if (lane == 0) {
    sums[simd] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (index == 0) {
    float all = 0.0f;
    for (uint i = 0; i < simds; ++i) {
      all += sums[i];
    }
    const int at = channel * p.taps + tap;
    if (band == 0) {
      lo[at] = static_cast<F>(all);
    } else {
      hi[at] = static_cast<F>(all);
    }
  }
}

template [[host_name("bank_gradient_float_float")]] [[kernel]] decltype(bank_gradient<float, float>) bank_gradient<float, float>;
template [[host_name("bank_gradient_half_half")]] [[kernel]] decltype(bank_gradient<half, half>) bank_gradient<half, half>;
template [[host_name("bank_gradient_half_float")]] [[kernel]] decltype(bank_gradient<half, float>) bank_gradient<half, float>;
template [[host_name("bank_gradient_bfloat_bfloat")]] [[kernel]] decltype(bank_gradient<bfloat, bfloat>) bank_gradient<bfloat, bfloat>;
template [[host_name("bank_gradient_bfloat_float")]] [[kernel]] decltype(bank_gradient<bfloat, float>) bank_gradient<bfloat, float>;
template [[host_name("bank_gradient_sum_float")]] [[kernel]] decltype(bank_gradient_sum<float>) bank_gradient_sum<float>;
template [[host_name("bank_gradient_sum_half")]] [[kernel]] decltype(bank_gradient_sum<half>) bank_gradient_sum<half>;
template [[host_name("bank_gradient_sum_bfloat")]] [[kernel]] decltype(bank_gradient_sum<bfloat>) bank_gradient_sum<bfloat>;
