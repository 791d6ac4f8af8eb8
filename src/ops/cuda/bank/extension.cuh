#pragma once

#include "ops/cuda/vector.cuh"

namespace signalllm::cuda {

/// PyWavelets' modes in the order of signalllm::ops::Mode, and what the
/// transpose of a periodization needs: the repeated last value of an odd
/// signal counts as zero.
enum class Border : int {
  zero,
  constant,
  symmetric,
  periodic,
  smooth,
  periodization,
  reflect,
  antisymmetric,
  antireflect,
  periodization_zero,
};

SIGNALLLM_HD bool periodized(Border b) {
  return b == Border::periodization || b == Border::periodization_zero;
}

/// True where a value beyond one end comes from the other end.
SIGNALLLM_HD bool wraps(Border b) {
  return b == Border::periodic || periodized(b);
}

/// x_ext[i] = sum_k weight[k] x[row[k]]; unused terms have weight 0.
struct BorderRow {
  int row[3];
  int weight[3];
};

SIGNALLLM_HD int modulo(int a, int m) {
  const int r = a % m;
  return r < 0 ? r + m : r;
}

SIGNALLLM_HD BorderRow border_row(Border border, int i, int n) {
  BorderRow out{{0, 0, 0}, {0, 0, 0}};
  int row = 0, weight = 1;
  if (i >= 0 && i < n) {
    row = i;
  } else {
    switch (border) {
      case Border::zero:
        weight = 0;
        break;
      case Border::constant:
        row = i < 0 ? 0 : n - 1;
        break;
      case Border::symmetric: {
        const int m = modulo(i, 2 * n);
        row = m < n ? m : 2 * n - 1 - m;
        break;
      }
      case Border::periodic:
        row = modulo(i, n);
        break;
      case Border::smooth: {
        const int steps = i < 0 ? -i : i - n + 1;
        const int end = i < 0 ? 0 : n - 1;
        row = end;
        weight = 1 + steps;
        out.row[1] = n == 1 ? end : (i < 0 ? 1 : n - 2);
        out.weight[1] = -steps;
        break;
      }
      case Border::periodization: {
        const int m = modulo(i, n + n % 2);
        row = m < n ? m : n - 1;
        break;
      }
      case Border::periodization_zero: {
        const int m = modulo(i, n + n % 2);
        row = m < n ? m : 0;
        weight = m < n;
        break;
      }
      case Border::reflect: {
        const int period = 2 * n - 2;
        const int m = modulo(i, period);
        row = m < n ? m : period - m;
        break;
      }
      case Border::antisymmetric: {
        const int r = modulo(i, n);
        const bool even = ((i - r) / n) % 2 == 0;
        row = even ? r : n - 1 - r;
        weight = even ? 1 : -1;
        break;
      }
      case Border::antireflect: {
        const int p = n - 1;
        const int m = modulo(i, 2 * p);
        const int turns = (i - m) / (2 * p);
        row = m <= p ? m : 2 * p - m;
        weight = m <= p ? 1 : -1;
        out.row[1] = p;
        out.weight[1] = 2 * turns + (m <= p ? 0 : 2);
        out.weight[2] = -2 * turns;
        break;
      }
    }
  }
  out.row[0] = row;
  out.weight[0] = weight;
  return out;
}

} // namespace signalllm::cuda
