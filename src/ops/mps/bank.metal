// The two-channel filter bank, all levels of it in one launch: what the kernels
// of wavedec, waverec and their gradients share.
//
// Level 0 is the signal, level l has length[l] coefficients. A column is one
// channel of one batch entry; a group works on `width` neighbouring columns and
// on one tile of their rows. The tile owns the rows [tile, tile + 1) unit[l] of
// level l, the last one all that are left, and computes besides them the rows
// that its own are made of; the host has listed these runs (tile_plan.h). Rows
// of the inner levels stay in threadgroup memory, as float.
//
//   analysis:   a_l[o] = sum_j lo[j] ext(a_{l-1})[2 o + offset - j], d_l with hi
//   synthesis:  u[i] = sum_o lo[i + s - 2 o] a_l[o] + hi[i + s - 2 o] d_l[o],
//               s = taps - 1 - offset,
//               a_{l-1}[n] = u[n] + sum of weight(i, n) u[i] over i outside
//   where ext(x)[i] = sum_n weight(i, n) x[n] is the border's rule.
//
// With reconstruction filters the analysis reads the taps from the other end,
// with decomposition filters the synthesis does: each is then the transpose of
// the other.
constant constexpr int kBankLevels = 10;

// Rows [begin, end) and [more_begin, more_end) of one level.
struct BankRuns {
  int begin;
  int end;
  int more_begin;
  int more_end;
};

// For each level the runs of the first tile, the second, of which those between
// are copies, and the last two; and where its rows begin in threadgroup memory.
struct BankTiles {
  array<BankRuns, 4 * (kBankLevels + 1)> runs;
  array<int, kBankLevels + 1> place;
};

// In values; of what the kernels read.
struct BankStrides {
  int batch;
  int row;
  int inner;
};

struct Bank {
  int levels;
  int tiles;
  int columns; // batch * inner
  int inner;
  int width;
  int rows_first; // neighbouring threads have neighbouring rows, not columns
  int taps;
  int offset;
  int border;
  int filters; // one for each of so many channels; 0: one for all
  int reconstruction; // the filters are waverec's
  int wide_signal; // what is read and written between launches is float
  int wide_top;
  int wide_out;
  int top_rows; // of the approximation that is written; zero behind its end
  int wanted; // bits: 1 details, 2 the approximation, 4 the signal
  int parts; // of a tile's rows in the filters' gradient
  int first_share;
  array<int, kBankLevels + 1> length;
  array<int, kBankLevels + 1> unit;
  BankTiles analysis;
  BankTiles synthesis;
  array<BankStrides, kBankLevels + 1> strides; // the signal, details
  BankStrides top;
};

// ---- Borders ----------------------------------------------------------------
// As Border of tile_plan.h.
constant constexpr int kBankZero = 0;
constant constexpr int kBankConstant = 1;
constant constexpr int kBankSymmetric = 2;
constant constexpr int kBankPeriodic = 3;
constant constexpr int kBankSmooth = 4;
constant constexpr int kBankPeriodization = 5;
constant constexpr int kBankReflect = 6;
constant constexpr int kBankAntisymmetric = 7;
constant constexpr int kBankAntireflect = 8;
constant constexpr int kBankPeriodizationZero = 9;

// ext(x)[i] = sum_k weight[k] x[row[k]].
struct BankTerms {
  array<int, 3> row;
  array<float, 3> weight;
};

inline int bank_modulo(int a, int m) {
  const int r = a % m;
  return r < 0 ? r + m : r;
}

inline BankTerms bank_terms(int border, int i, int n) {
  BankTerms out;
  for (int k = 0; k < 3; ++k) {
    out.row[k] = 0;
    out.weight[k] = 0.0f;
  }
  int row = i;
  float weight = 1.0f;
  if (i < 0 || i >= n) {
    if (border == kBankZero) {
      row = 0;
      weight = 0.0f;
    } else if (border == kBankConstant) {
      row = i < 0 ? 0 : n - 1;
    } else if (border == kBankSymmetric) {
      const int m = bank_modulo(i, 2 * n);
      row = m < n ? m : 2 * n - 1 - m;
    } else if (border == kBankPeriodic) {
      row = bank_modulo(i, n);
    } else if (border == kBankSmooth) {
      // The line through the two outermost values.
      const int steps = i < 0 ? -i : i - n + 1;
      row = i < 0 ? 0 : n - 1;
      weight = float(1 + steps);
      out.row[1] = n == 1 ? 0 : (i < 0 ? 1 : n - 2);
      out.weight[1] = float(-steps);
    } else if (border == kBankReflect) {
      const int m = bank_modulo(i, 2 * n - 2);
      row = m < n ? m : 2 * n - 2 - m;
    } else if (border == kBankAntisymmetric) {
      const int m = bank_modulo(i, 2 * n);
      row = m < n ? m : 2 * n - 1 - m;
      weight = m < n ? 1.0f : -1.0f;
    } else if (border == kBankAntireflect) {
      // A point reflection in each end: every period adds twice the rise.
      const int p = n - 1;
      const int m = bank_modulo(i, 2 * p);
      const int turns = (i - m) / (2 * p);
      row = m <= p ? m : 2 * p - m;
      weight = m <= p ? 1.0f : -1.0f;
      out.row[1] = p;
      out.weight[1] = float(2 * turns + (m <= p ? 0 : 2));
      out.weight[2] = float(-2 * turns);
    } else {
      // An odd signal has its last value once more; for the transpose of that
      // the value is not there.
      const int m = bank_modulo(i, n + n % 2);
      row = m < n ? m : n - 1;
      weight = m < n || border == kBankPeriodization ? 1.0f : 0.0f;
    }
  }
  out.row[0] = row;
  out.weight[0] = weight;
  return out;
}

// weight(i, n) for row n of a signal of `length` rows.
inline float bank_weight(int border, int i, int length, int n) {
  const BankTerms terms = bank_terms(border, i, length);
  float weight = 0.0f;
  for (int k = 0; k < 3; ++k) {
    weight += terms.row[k] == n ? terms.weight[k] : 0.0f;
  }
  return weight;
}

// ---- Tiles ------------------------------------------------------------------
inline int bank_size(BankRuns runs) {
  return runs.end - runs.begin + runs.more_end - runs.more_begin;
}

inline int bank_position(BankRuns runs, int row) {
  return row >= runs.begin && row < runs.end
      ? row - runs.begin
      : runs.end - runs.begin + row - runs.more_begin;
}

inline int bank_row(BankRuns runs, int position) {
  const int first = runs.end - runs.begin;
  return position < first ? runs.begin + position
                          : runs.more_begin + position - first;
}

inline BankRuns
bank_runs(constant Bank& p, constant BankTiles& tiles, int tile, int l) {
  const bool middle = tile > 0 && tile < p.tiles - 2;
  const int which = tile == 0 ? 0 : middle ? 1 : tile - p.tiles + 4;
  BankRuns runs = tiles.runs[which * (kBankLevels + 1) + l];
  if (middle) {
    const int shift = (tile - 1) * p.unit[l];
    runs.begin += shift;
    runs.end += shift;
    runs.more_begin += shift;
    runs.more_end += shift;
  }
  return runs;
}

inline BankRuns bank_own(constant Bank& p, int tile, int l) {
  BankRuns own;
  own.begin = min(tile * p.unit[l], p.length[l]);
  own.end = tile == p.tiles - 1 ? p.length[l]
                                : min((tile + 1) * p.unit[l], p.length[l]);
  own.more_begin = 0;
  own.more_end = 0;
  return own;
}

// Where a thread is: its group's tile and first column.
struct BankPlace {
  int tile;
  int first_column;
  int thread_index;
  int threads;
};

// The item of a thread among `rows` of `width` columns.
struct BankItem {
  int position;
  int lane;
};

inline BankItem bank_item(constant Bank& p, int item, int rows) {
  BankItem out;
  out.position = p.rows_first != 0 ? item % rows : item / p.width;
  out.lane = p.rows_first != 0 ? item / rows : item % p.width;
  return out;
}

// The first of a column's taps.
inline int bank_filter(constant Bank& p, int column) {
  return p.filters > 0 ? column % p.inner % p.filters * p.taps : 0;
}

inline int bank_base(constant Bank& p, BankStrides strides, int column) {
  return column / p.inner * strides.batch + column % p.inner * strides.inner;
}

// Value `row` of a column among contiguous ones of `rows` a column.
inline int bank_index(constant Bank& p, int column, int row, int rows) {
  return (column / p.inner * rows + row) * p.inner + column % p.inner;
}

// ---- Rows -------------------------------------------------------------------
// One level of one column, from a tensor or from the tile.
template <typename T>
struct BankRows {
  device const T* values;
  device const float* wide;
  threadgroup const float* tile;
  int from; // 0 values, 1 wide, 2 tile
  int first;
  int step;
  BankRuns runs;

  float get(int row) const {
    if (from == 2) {
      return tile[first + bank_position(runs, row) * step];
    }
    const int index = first + row * step;
    return from == 1 ? float(wide[index]) : float(values[index]);
  }
};

template <typename T>
inline BankRows<T> bank_rows_of(
    constant Bank& p,
    BankStrides strides,
    int column,
    int is_wide,
    device const T* values,
    device const float* wide,
    threadgroup const float* tile) {
  const BankRuns none = {0, 0, 0, 0};
  return BankRows<T>{
      values,
      wide,
      tile,
      is_wide != 0 ? 1 : 0,
      bank_base(p, strides, column),
      strides.row,
      none};
}

template <typename T>
inline BankRows<T> bank_tile_rows(
    constant Bank& p,
    constant BankTiles& tiles,
    int tile_index,
    int l,
    int lane,
    device const T* values,
    device const float* wide,
    threadgroup const float* tile) {
  return BankRows<T>{
      values,
      wide,
      tile,
      2,
      tiles.place[l] * p.width + lane,
      p.width,
      bank_runs(p, tiles, tile_index, l)};
}

// ext(x)[i].
template <typename T>
inline float bank_extended(BankRows<T> rows, int border, int n, int i) {
  if (i >= 0 && i < n) {
    return rows.get(i);
  }
  const BankTerms terms = bank_terms(border, i, n);
  float sum = 0.0f;
  for (int k = 0; k < 3; ++k) {
    if (terms.weight[k] != 0.0f) {
      sum = fma(terms.weight[k], rows.get(terms.row[k]), sum);
    }
  }
  return sum;
}

// The details of level l among a kernel's buffers.
template <typename P>
inline P bank_detail(
    int l,
    P d1,
    P d2,
    P d3,
    P d4,
    P d5,
    P d6,
    P d7,
    P d8,
    P d9,
    P d10) {
  switch (l) {
    case 1:
      return d1;
    case 2:
      return d2;
    case 3:
      return d3;
    case 4:
      return d4;
    case 5:
      return d5;
    case 6:
      return d6;
    case 7:
      return d7;
    case 8:
      return d8;
    case 9:
      return d9;
    default:
      return d10;
  }
}
