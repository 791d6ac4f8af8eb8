#include "stream_plan.h"

#include <algorithm>
#include <limits>

namespace signalllm::cuda {
namespace {

/// Threads of a multiprocessor that hide the latency of memory, more where the
/// values are small; the shortest segment worth its warm-up, in steps.
constexpr int kThreadsWanted = 256;
constexpr int kThreadsWantedHalf = 384;
constexpr int kLeastSteps = 24;

int ceil_divide(int a, int b) {
  return (a + b - 1) / b;
}

bool streams(const TransformCase& c) {
  if (c.levels > kStreamLevels || c.bank.taps > kStreamTaps ||
      c.channels % kStreamVector != 0 || !ends_apart(c)) {
    return false;
  }
  for (int l = 0; l <= c.levels; ++l) {
    if (c.length[l] < 2 * kStreamTaps << std::max(c.levels - 1 - l, 0)) {
      return false;
    }
  }
  return true;
}

void begin(const TransformCase& c, StreamShape& p) {
  p.folds = c.bank.border != Border::zero;
  p.rule = end_rule(c.bank.border);
  p.levels = c.levels;
  std::copy(c.length, c.length + c.levels + 1, p.length);
  p.batch = static_cast<int>(c.batch);
  p.channels = c.channels;
  p.columns = c.channels / kStreamVector;
}

/// Cuts the steps between the ends into segments that fill the device once.
bool cut(const TransformCase& c, StreamShape& p) {
  const int unit = kStreamRows >> p.levels; // steps of an iteration
  const auto up = [unit](int steps) { return ceil_divide(steps, unit) * unit; };
  p.warm = up(p.warm);
  p.inner_begin = up(p.inner_begin);
  // The first inner segment starts behind the first step.
  p.head = p.inner_begin + p.warm + unit;
  p.tail = p.inner_end / unit * unit;
  const int inner = p.tail - p.head;
  p.segments = 1;
  if (inner >= kLeastSteps * unit) {
    const int64_t columns = std::max<int64_t>(c.batch * p.columns, 1);
    const int64_t fill =
        static_cast<int64_t>(c.half ? kThreadsWantedHalf : kThreadsWanted) *
        c.device.multiprocessors;
    const auto wanted =
        static_cast<int>(std::clamp<int64_t>(fill / columns - 2, 1, inner));
    p.steps = up(std::max(ceil_divide(inner, wanted), kLeastSteps * unit));
    p.segments = 2 + ceil_divide(inner, p.steps);
  }
  return p.threads() < std::numeric_limits<int>::max() / 2;
}

} // namespace

bool plan_stream(const TransformCase& c, StreamAnalysisParams& p) {
  if (!streams(c)) {
    return false;
  }
  begin(c, p);
  const int J = c.levels, F = c.bank.taps;
  p.total = p.length[J];
  p.inner_begin = 0;
  p.inner_end = p.total;
  p.warm = 0;
  for (int l = 0; l < J; ++l) {
    p.warm = (p.warm + 1) / 2 + F / 2 - 1;
    // The last rows are kept for the border.
    p.inner_end = std::min(p.inner_end, (p.length[l] - kStreamTaps) >> (J - l));
  }
  return cut(c, p);
}

bool plan_stream(const TransformCase& c, StreamSynthesisParams& p) {
  if (!streams(c)) {
    return false;
  }
  begin(c, p);
  const int J = c.levels, F = c.bank.taps, shift = F - 2;
  const int zone = c.bank.border == Border::zero ? 0 : F;
  int warm = 0;
  p.inner_begin = 0;
  p.inner_end = p.length[J];
  for (int l = J - 1; l >= 0; --l) {
    const int rows = 1 << (J - l), skew = shift * (rows - 1);
    warm = 2 * (warm + F / 2 - 1);
    p.inner_begin = std::max(p.inner_begin, ceil_divide(zone + skew, rows));
    p.inner_end = std::min(p.inner_end, (p.length[l] - zone + skew) / rows);
  }
  p.total = ceil_divide(p.length[0] + shift * ((1 << J) - 1), 1 << J);
  p.warm = ceil_divide(warm, 1 << J);
  return cut(c, p);
}

} // namespace signalllm::cuda
