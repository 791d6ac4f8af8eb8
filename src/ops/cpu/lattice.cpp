#include "ops/cpu/lattice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kMaxStages = Lattice<double>::kMaxStages;
using Taps = std::array<double, 2 * kMaxStages>; // of one filter

/// Taps of both filters of the bank that the rotations make.
std::pair<Taps, Taps> taps_of(const double* turns, int64_t stages) {
  // m[j]: 2 x 2, row by row.
  double m[kMaxStages][4] = {{1, turns[0], -turns[0], 1}};
  for (int64_t k = 1; k < stages; ++k) {
    for (int64_t j = k; j >= 0; --j) { // from behind: in place
      for (int c = 0; c < 2; ++c) {
        const double u = j < k ? m[j][c] : 0;
        const double v = j > 0 ? m[j - 1][2 + c] : 0;
        m[j][c] = u + turns[k] * v;
        m[j][2 + c] = v - turns[k] * u;
      }
    }
  }
  std::pair<Taps, Taps> out;
  for (int64_t j = 0; j < stages; ++j) {
    for (int c = 0; c < 2; ++c) {
      out.first[2 * (stages - 1 - j) + c] = m[j][c];
      out.second[2 * (stages - 1 - j) + c] = m[j][2 + c];
    }
  }
  return out;
}

bool has_kernel(int64_t stages) {
  return (stages >= 3 && stages <= 6) || stages == 8 || stages == 10;
}

} // namespace

template <class A>
Lattice<A> find_lattice(const A* lo, const A* hi, int64_t taps) {
  const int64_t stages = taps / 2;
  if (taps % 2 != 0 || !has_kernel(stages)) {
    return {};
  }
  // u and v: the rows of M, `[stages][2]`.
  Taps u, v;
  double det = 0, sum[4] = {0, 0, 0, 0};
  for (int64_t j = 0; j < stages; ++j) {
    for (int c = 0; c < 2; ++c) {
      u[2 * j + c] = lo[2 * (stages - 1 - j) + c];
      v[2 * j + c] = hi[2 * (stages - 1 - j) + c];
      sum[c] += u[2 * j + c];
      sum[2 + c] += v[2 * j + c];
    }
  }
  det = sum[0] * sum[3] - sum[1] * sum[2];
  const double sign = det < 0 ? -1 : 1;
  for (int64_t k = 0; k < taps; ++k) {
    v[k] *= sign;
  }
  double turns[kMaxStages];
  double scale = 1;
  for (int64_t k = stages - 1; k >= 0; --k) {
    double t;
    if (k > 0) {
      const double energy = u[0] * u[0] + u[1] * u[1];
      t = energy > 0 ? -(v[0] * u[0] + v[1] * u[1]) / energy : INFINITY;
    } else {
      t = u[1] / u[0];
    }
    // Beyond it the cosine is as good as none.
    if (!(std::abs(t) < 1e4)) {
      return {};
    }
    turns[k] = t;
    const double cosine = 1 / std::sqrt(1 + t * t);
    scale *= cosine;
    for (int64_t i = 0; i <= 2 * k + 1; ++i) {
      const double a = u[i], b = v[i];
      u[i] = cosine * (a - t * b);
      v[i] = cosine * (t * a + b);
    }
    // v is one pair late now.
    for (int64_t i = 0; i < 2 * k; ++i) {
      v[i] = v[i + 2];
    }
  }
  // What lies between the stages is 1 / scale times as large as the result.
  if (scale < 1e-6) {
    return {};
  }
  // The bank may be turned by half a circle.
  const double half = u[0] < 0 ? -1 : 1;
  const auto made = taps_of(turns, stages);
  double error = 0, most = 0;
  for (int64_t k = 0; k < taps; ++k) {
    const double l = half * scale * made.first[k];
    const double h = half * sign * scale * made.second[k];
    error = std::max({error, std::abs(l - lo[k]), std::abs(h - hi[k])});
    most = std::max({most, std::abs(double(lo[k])), std::abs(double(hi[k]))});
  }
  if (!(error <= 2 * most * std::numeric_limits<A>::epsilon())) {
    return {};
  }
  Lattice<A> l;
  l.stages = static_cast<int>(stages);
  for (int64_t k = 0; k < stages; ++k) {
    l.turns[k] = static_cast<A>(turns[k]);
  }
  l.scale_lo = static_cast<A>(half * scale);
  l.scale_hi = static_cast<A>(half * sign * scale);
  return l;
}

template Lattice<float> find_lattice(const float*, const float*, int64_t);
template Lattice<double> find_lattice(const double*, const double*, int64_t);

} // namespace signalllm::ops::cpu
