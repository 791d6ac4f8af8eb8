#include "ops/extension.h"

#include "text.h"

#include <signalllm/wavelet.h>

#include <c10/util/Exception.h>

#include <algorithm>

namespace signalllm::ops {
namespace {

int64_t modulo(int64_t a, int64_t m) {
  const int64_t r = a % m;
  return r < 0 ? r + m : r;
}

int64_t floor_div(int64_t a, int64_t m) {
  return (a - modulo(a, m)) / m;
}

} // namespace

Mode parse_mode(std::string_view op, std::string_view name) {
  const auto& names = modes();
  const auto found = std::find(names.begin(), names.end(), name);
  TORCH_CHECK(
      found != names.end(),
      op,
      ": mode '",
      name,
      "' is unknown; did you mean '",
      nearest(name, names),
      "'? Allowed: ",
      join(names));
  return static_cast<Mode>(found - names.begin());
}

ExtensionRow extension_row(Mode mode, int64_t i, int64_t n) {
  ExtensionRow out;
  if (i >= 0 && i < n) {
    out.add(i, 1);
    return out;
  }
  switch (mode) {
    case Mode::zero:
      break;
    case Mode::constant:
      out.add(i < 0 ? 0 : n - 1, 1);
      break;
    case Mode::symmetric: {
      const int64_t m = modulo(i, 2 * n);
      out.add(m < n ? m : 2 * n - 1 - m, 1);
      break;
    }
    case Mode::periodic:
      out.add(modulo(i, n), 1);
      break;
    case Mode::smooth: {
      // The line through the two outermost values; constant for one value.
      const double steps = i < 0 ? -i : i - n + 1;
      const int64_t end = i < 0 ? 0 : n - 1;
      const int64_t inner = n == 1 ? end : (i < 0 ? 1 : n - 2);
      out.add(end, 1 + steps);
      out.add(inner, -steps);
      break;
    }
    case Mode::periodization: {
      // An odd signal has its last value once more.
      const int64_t m = modulo(i, n + n % 2);
      out.add(std::min(m, n - 1), 1);
      break;
    }
    case Mode::reflect: {
      const int64_t period = 2 * n - 2;
      const int64_t m = modulo(i, period);
      out.add(m < n ? m : period - m, 1);
      break;
    }
    case Mode::antisymmetric: {
      const int64_t q = floor_div(i, n);
      const int64_t r = i - q * n;
      out.add(q % 2 == 0 ? r : n - 1 - r, q % 2 == 0 ? 1 : -1);
      break;
    }
    case Mode::antireflect: {
      // A point reflection in each end: the signal climbs by twice its rise
      // in every period.
      const int64_t p = n - 1;
      const int64_t c = floor_div(i, 2 * p);
      const int64_t m = i - 2 * p * c;
      double last = 2.0 * c;
      if (m <= p) {
        out.add(m, 1);
      } else {
        out.add(2 * p - m, -1);
        last += 2;
      }
      out.add(p, last);
      out.add(0, -2.0 * c);
      break;
    }
  }
  return out;
}

int64_t max_level(int64_t length, int64_t taps) {
  int64_t level = 0;
  if (taps >= 2) {
    for (int64_t m = length / (taps - 1); m >= 2; m /= 2) {
      ++level;
    }
  }
  return level;
}

} // namespace signalllm::ops
