// The synthesis of a tile, from the coarsest level to the signal: waverec, and
// with decomposition filters the gradient of wavedec's input.

// u[i] of one column, from the `count` coefficients of a level.
template <typename T, typename F>
inline float bank_full(
    constant Bank& p,
    BankRows<T> a,
    BankRows<T> d,
    device const F* lo,
    device const F* hi,
    int filter,
    int count,
    int i) {
  const int top = i + p.taps - 1 - p.offset;
  const int first = max((top - p.taps + 2) >> 1, 0);
  const int last = min(top >> 1, count - 1);
  float sum = 0.0f;
  for (int o = first; o <= last; ++o) {
    const int j = top - 2 * o;
    const int tap = filter + (p.reconstruction != 0 ? j : p.taps - 1 - j);
    sum = fma(float(lo[tap]), a.get(o), sum);
    sum = fma(float(hi[tap]), d.get(o), sum);
  }
  return sum;
}

// a_{l-1}[row]: only rows within `taps` of an end get something from outside.
template <typename T, typename F>
inline float bank_synthesised(
    constant Bank& p,
    BankRows<T> a,
    BankRows<T> d,
    device const F* lo,
    device const F* hi,
    int filter,
    int l,
    int row) {
  const int n = p.length[l - 1];
  const int count = p.length[l];
  float sum = bank_full(p, a, d, lo, hi, filter, count, row);
  if (p.border != kBankZero && (row <= p.taps || row >= n - 1 - p.taps)) {
    const int behind = 2 * count - 1 + p.offset - n;
    for (int e = p.offset + 1 - p.taps; e < behind; ++e) {
      const int i = e < 0 ? e : n + e;
      const float weight = bank_weight(p.border, i, n, row);
      if (weight != 0.0f) {
        sum = fma(weight, bank_full(p, a, d, lo, hi, filter, count, i), sum);
      }
    }
  }
  return sum;
}

// The approximation of level l: from a tensor at the coarsest level.
template <typename T>
inline BankRows<T> bank_approximation(
    constant Bank& p,
    BankPlace at,
    int l,
    int lane,
    device const T* top,
    device const float* wide_top,
    threadgroup const float* memory) {
  return l == p.levels
      ? bank_rows_of(p, p.top, at.first_column + lane, p.wide_top, top, wide_top, memory)
      : bank_tile_rows(p, p.synthesis, at.tile, l, lane, top, wide_top, memory);
}

// From level l to level l - 1.
template <typename T, typename F>
inline void bank_synthesise(
    constant Bank& p,
    BankPlace at,
    int l,
    device const T* top,
    device const float* wide_top,
    device const T* detail,
    device const F* lo,
    device const F* hi,
    device T* out,
    device float* wide_out,
    threadgroup float* memory) {
  const BankRuns runs = bank_runs(p, p.synthesis, at.tile, l - 1);
  const int rows = bank_size(runs);
  for (int i = at.thread_index; i < rows * p.width; i += at.threads) {
    const BankItem item = bank_item(p, i, rows);
    const int column = at.first_column + item.lane;
    if (column >= p.columns) {
      continue;
    }
    const BankRows<T> a = bank_approximation(p, at, l, item.lane, top, wide_top, memory);
    const BankRows<T> d = bank_rows_of(p, p.strides[l], column, 0, detail, wide_top, memory);
    const int row = bank_row(runs, item.position);
    const float y = bank_synthesised(p, a, d, lo, hi, bank_filter(p, column), l, row);
    const int index = bank_index(p, column, row, p.length[0]);
    if (l > 1) {
      memory[(p.synthesis.place[l - 1] + item.position) * p.width + item.lane] = y;
    } else if (p.wide_out != 0) {
      wide_out[index] = y;
    } else {
      out[index] = static_cast<T>(y);
    }
  }
}

// Grid: (blocks of columns, tiles).
template <typename T, typename F>
[[kernel]] void waverec(
    device T* out [[buffer(0)]],
    device float* wide_out [[buffer(1)]],
    device const T* top [[buffer(2)]],
    device const float* wide_top [[buffer(3)]],
    device const F* lo [[buffer(4)]],
    device const F* hi [[buffer(5)]],
    device const T* d1 [[buffer(6)]],
    device const T* d2 [[buffer(7)]],
    device const T* d3 [[buffer(8)]],
    device const T* d4 [[buffer(9)]],
    device const T* d5 [[buffer(10)]],
    device const T* d6 [[buffer(11)]],
    device const T* d7 [[buffer(12)]],
    device const T* d8 [[buffer(13)]],
    device const T* d9 [[buffer(14)]],
    device const T* d10 [[buffer(15)]],
    constant Bank& p [[buffer(16)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  threadgroup float memory[4096];
  const BankPlace at = {int(group.y), int(group.x) * p.width, int(index), int(size.x)};
  for (int l = p.levels; l > 0; --l) {
    bank_synthesise(
        p, at, l, top, wide_top,
        bank_detail(l, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10),
        lo, hi, out, wide_out, memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template [[host_name("waverec_float_float")]] [[kernel]] decltype(waverec<float, float>) waverec<float, float>;
template [[host_name("waverec_half_half")]] [[kernel]] decltype(waverec<half, half>) waverec<half, half>;
template [[host_name("waverec_half_float")]] [[kernel]] decltype(waverec<half, float>) waverec<half, float>;
template [[host_name("waverec_bfloat_bfloat")]] [[kernel]] decltype(waverec<bfloat, bfloat>) waverec<bfloat, bfloat>;
template [[host_name("waverec_bfloat_float")]] [[kernel]] decltype(waverec<bfloat, float>) waverec<bfloat, float>;
