#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

/// The transforms' formulas for one channel, value by value, in float64.
namespace signalllm::slow {

using Row = std::vector<double>;

/// Values, and the largest sum of the terms' absolute values behind any.
struct Sums {
  double largest = 0;

  /// sum_j f[j] x(j)
  double operator()(const Row& f, const std::function<double(int64_t)>& x) {
    double sum = 0, absolute = 0;
    for (size_t j = 0; j < f.size(); ++j) {
      const double term = f[j] * x(static_cast<int64_t>(j));
      sum += term;
      absolute += std::abs(term);
    }
    largest = std::max(largest, absolute);
    return sum;
  }
};

/// x beyond its ends, as PyWavelets describes the modes.
inline double extended(const Row& x, const std::string& mode, int64_t i) {
  const auto n = static_cast<int64_t>(x.size());
  const auto again = [&](int64_t k) { return extended(x, mode, k); };
  if (i >= 0 && i < n) {
    return x[i];
  }
  const bool before = i < 0;
  const double end = before ? x[0] : x[n - 1];
  if (mode == "zero") {
    return 0;
  } else if (mode == "constant") {
    return end;
  } else if (mode == "symmetric") {
    return again(before ? -1 - i : 2 * n - 1 - i);
  } else if (mode == "antisymmetric") {
    return -again(before ? -1 - i : 2 * n - 1 - i);
  } else if (mode == "periodic") {
    return again(before ? i + n : i - n);
  } else if (mode == "periodization") { // the last value of an odd signal twice
    const int64_t period = n + n % 2;
    return i == n && n % 2 == 1 ? end : again(before ? i + period : i - period);
  } else if (mode == "reflect") {
    return again(before ? -i : 2 * n - 2 - i);
  } else if (mode == "antireflect") {
    return 2 * end - again(before ? -i : 2 * n - 2 - i);
  }
  if (mode != "smooth") {
    throw std::invalid_argument(mode);
  }
  const double slope = n == 1 ? 0 : before ? x[1] - x[0] : x[n - 1] - x[n - 2];
  return end + slope * static_cast<double>(before ? i : i - (n - 1));
}

/// One filter of one analysis level.
inline Row
analysed(const Row& x, const Row& f, const std::string& mode, Sums& sums) {
  const auto n = static_cast<int64_t>(x.size());
  const auto taps = static_cast<int64_t>(f.size());
  const bool wraps = mode == "periodization";
  Row out(wraps ? (n + 1) / 2 : (n + taps - 1) / 2);
  for (size_t o = 0; o < out.size(); ++o) {
    const auto at = 2 * static_cast<int64_t>(o) + (wraps ? taps / 2 : 1);
    out[o] = sums(f, [&](int64_t j) { return extended(x, mode, at - j); });
  }
  return out;
}

/// One synthesis level.
inline Row synthesised(
    const Row& a,
    const Row& d,
    const Row& lo,
    const Row& hi,
    const std::string& mode,
    Sums& sums) {
  const auto n = static_cast<int64_t>(d.size());
  const auto taps = static_cast<int64_t>(lo.size());
  const bool wraps = mode == "periodization";
  Row out(wraps ? 2 * n : 2 * n - taps + 2);
  const auto length = static_cast<int64_t>(out.size());
  Row both(lo);
  both.insert(both.end(), hi.begin(), hi.end());
  for (int64_t p = 0; p < 2 * n + taps - 2; ++p) {
    // Row p of the full synthesis: tap j with the coefficient (p - j) / 2.
    const double value = sums(both, [&](int64_t j) {
      const Row& c = j < taps ? a : d;
      const int64_t twice = p - j % taps;
      return twice % 2 == 0 && twice >= 0 && twice / 2 < n ? c[twice / 2] : 0.0;
    });
    const int64_t row = p - (wraps ? taps / 2 - 1 : taps - 2);
    if (wraps) {
      out[((row % length) + length) % length] += value;
    } else if (row >= 0 && row < length) {
      out[row] += value;
    }
  }
  return out;
}

/// sum_j f[j] x[(n + D (offset - j)) mod N]
inline Row
circular(const Row& x, const Row& f, int64_t D, int64_t offset, Sums& sums) {
  const auto n = static_cast<int64_t>(x.size());
  Row out(n);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = sums(f, [&](int64_t j) {
      const int64_t k = (i + D * (offset - j)) % n;
      return x[k < 0 ? k + n : k];
    });
  }
  return out;
}

/// sum_k f[k] x[t - D k], zero before the signal.
inline Row causal(const Row& x, const Row& f, int64_t D, Sums& sums) {
  Row out(x.size());
  for (size_t t = 0; t < x.size(); ++t) {
    out[t] = sums(f, [&](int64_t k) {
      const int64_t at = static_cast<int64_t>(t) - D * k;
      return at >= 0 ? x[at] : 0.0;
    });
  }
  return out;
}

} // namespace signalllm::slow
