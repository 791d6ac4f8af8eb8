// The analysis of a tile, from the signal to the coarsest level: wavedec, and
// with reconstruction filters the gradient of waverec's coefficients.

// From level l - 1, the rows that `rows` has of it, to level l.
template <typename T, typename F>
inline void bank_analyse(
    constant Bank& p,
    BankPlace at,
    int l,
    device const T* signal,
    device const float* wide_signal,
    device const F* lo,
    device const F* hi,
    device T* detail,
    device T* top,
    device float* wide_top,
    threadgroup float* memory) {
  const BankRuns runs = bank_runs(p, p.analysis, at.tile, l);
  const BankRuns own = bank_own(p, at.tile, l);
  const int rows = bank_size(runs);
  const int n = p.length[l - 1];
  for (int i = at.thread_index; i < rows * p.width; i += at.threads) {
    const BankItem item = bank_item(p, i, rows);
    const int column = at.first_column + item.lane;
    if (column >= p.columns) {
      continue;
    }
    const BankRows<T> x = l == 1
        ? bank_rows_of(p, p.strides[0], column, p.wide_signal, signal, wide_signal, memory)
        : bank_tile_rows(p, p.analysis, at.tile, l - 1, item.lane, signal, wide_signal, memory);
    const int row = bank_row(runs, item.position);
    const int filter = bank_filter(p, column);
    float a = 0.0f;
    float d = 0.0f;
    for (int j = 0; j < p.taps; ++j) {
      const int tap = filter + (p.reconstruction != 0 ? p.taps - 1 - j : j);
      const float v = bank_extended(x, p.border, n, 2 * row + p.offset - j);
      a = fma(float(lo[tap]), v, a);
      d = fma(float(hi[tap]), v, d);
    }
    if (l < p.levels) {
      memory[(p.analysis.place[l] + item.position) * p.width + item.lane] = a;
    }
    if ((p.wanted & 1) != 0 && row >= own.begin && row < own.end) {
      detail[bank_index(p, column, row, p.length[l])] = static_cast<T>(d);
    }
    if (l == p.levels && (p.wanted & 2) != 0) {
      const int index = bank_index(p, column, row, p.top_rows);
      const bool pad = row == p.length[l] - 1 && p.top_rows > p.length[l];
      if (p.wide_out != 0) {
        wide_top[index] = a;
      } else {
        top[index] = static_cast<T>(a);
        if (pad) {
          top[index + p.inner] = static_cast<T>(0.0f);
        }
      }
    }
  }
}

// Grid: (blocks of columns, tiles).
template <typename T, typename F>
[[kernel]] void wavedec(
    device T* top [[buffer(0)]],
    device float* wide_top [[buffer(1)]],
    device const T* signal [[buffer(2)]],
    device const float* wide_signal [[buffer(3)]],
    device const F* lo [[buffer(4)]],
    device const F* hi [[buffer(5)]],
    device T* d1 [[buffer(6)]],
    device T* d2 [[buffer(7)]],
    device T* d3 [[buffer(8)]],
    device T* d4 [[buffer(9)]],
    device T* d5 [[buffer(10)]],
    device T* d6 [[buffer(11)]],
    device T* d7 [[buffer(12)]],
    device T* d8 [[buffer(13)]],
    device T* d9 [[buffer(14)]],
    device T* d10 [[buffer(15)]],
    constant Bank& p [[buffer(16)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  threadgroup float memory[4096];
  const BankPlace at = {int(group.y), int(group.x) * p.width, int(index), int(size.x)};
  for (int l = 1; l <= p.levels; ++l) {
    bank_analyse(
        p, at, l, signal, wide_signal, lo, hi,
        bank_detail(l, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10),
        top, wide_top, memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template [[host_name("wavedec_float_float")]] [[kernel]] decltype(wavedec<float, float>) wavedec<float, float>;
template [[host_name("wavedec_half_half")]] [[kernel]] decltype(wavedec<half, half>) wavedec<half, half>;
template [[host_name("wavedec_half_float")]] [[kernel]] decltype(wavedec<half, float>) wavedec<half, float>;
template [[host_name("wavedec_bfloat_bfloat")]] [[kernel]] decltype(wavedec<bfloat, bfloat>) wavedec<bfloat, bfloat>;
template [[host_name("wavedec_bfloat_float")]] [[kernel]] decltype(wavedec<bfloat, float>) wavedec<bfloat, float>;
