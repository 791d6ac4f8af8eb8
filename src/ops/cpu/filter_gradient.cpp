#include "ops/cpu/filter_gradient.h"

#include "ops/cpu/edges.h"
#include "ops/cpu/sums.h"

#include <algorithm>

// A unit is (batch entry, kUnitRows coefficients, block of channels).
// Coefficients whose taps lie inside the signal read it by stride, those at its
// ends through a table of row pointers.

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kUnitRows = 64;
constexpr int64_t kTableRows = 16;

template <class A>
struct GradientUnit {
  const FilterGradient<A>& call;
  const Overhang& overhang;
  int64_t base;
  const A* x;
  int64_t channels;
  FirGradient<A> kernel;
  const A* zeros;
  A* extended;
  const A** table;

  const A* row(int64_t i, int64_t& used) {
    if (i >= 0 && i < call.length) {
      return i < call.present ? x + i * call.inner : zeros;
    }
    const auto& e = overhang.row(i);
    if (e.count == 0) {
      return zeros;
    }
    A* to = extended + used++ * channels;
    for (int k = 0; k < e.count; ++k) {
      const A w = static_cast<A>(e.weight[k]);
      Scale<A> s;
      s.x = e.row[k] < call.present ? x + e.row[k] * call.inner : zeros;
      s.add = k > 0 ? to : nullptr;
      s.y = to;
      s.w = &w;
      s.channels = channels;
      kernels<A>().scale(s);
    }
    return to;
  }

  void run(Range some, const A* lo, const A* hi, bool by_table) {
    const int64_t step =
        by_table ? kTableRows : std::max<int64_t>(some.size(), 1);
    for (int64_t o = some.first; o < some.last; o += step) {
      auto g = kernel;
      g.rows = std::min(step, some.last - o);
      g.lo = lo + o * call.inner;
      g.hi = hi + o * call.inner;
      if (by_table) {
        int64_t used = 0;
        for (int64_t i = 0; i < 2 * (g.rows - 1) + call.taps; ++i) {
          table[i] = row(2 * o + base + i, used);
        }
        g.table = table;
      } else {
        g.x = x + (2 * o + base) * call.inner;
        g.row_step = 2 * call.inner;
        g.tap_step = call.inner;
      }
      kernels<A>().fir_gradient(g);
    }
  }
};

} // namespace

template <class A>
void add_filter_gradient(
    const FilterGradient<A>& call,
    std::vector<double>& lo,
    std::vector<double>& hi) {
  if (call.batch == 0 || call.inner == 0) {
    return;
  }
  const int64_t base = analysis_offset(call.mode, call.taps) - (call.taps - 1);
  const int64_t end = 2 * (call.coefficients - 1) + base + call.taps;
  const Overhang overhang(call.mode, call.length, -base, end - call.length);
  const int64_t inside = (1 - base) / 2;
  const int64_t most = call.present - call.taps - base;
  const int64_t outside = std::max(inside, most < 0 ? 0 : most / 2 + 1);

  const int64_t block = std::min<int64_t>(call.inner, 256);
  const int64_t blocks = (call.inner + block - 1) / block;
  const int64_t chunks = (call.coefficients + kUnitRows - 1) / kUnitRows;
  const int64_t units = call.batch * chunks * blocks;
  const int64_t parts = sum_parts(units, call.per_channel);
  PartialSums<A> sums(parts, 2 * call.taps, call.inner, call.per_channel);

  run_jobs(parts, units / parts * block * kUnitRows * 2, [&](int64_t part) {
    const int64_t table_rows = 2 * kTableRows + call.taps;
    Scratch scratch(
        Scratch::bytes_for(table_rows, sizeof(A*)) +
        Scratch::bytes_for(block, sizeof(A)) +
        Scratch::bytes_for(table_rows * block, sizeof(A)));
    const A** table = scratch.take<const A*>(table_rows);
    A* zeros = scratch.take<A>(block);
    std::fill_n(zeros, block, A(0));
    A* extended = scratch.take<A>(table_rows * block);
    for (int64_t u = units * part / parts; u < units * (part + 1) / parts;
         ++u) {
      const int64_t c0 = u % blocks * block;
      const int64_t o = u / blocks % chunks * kUnitRows;
      const int64_t b = u / blocks / chunks;
      const int64_t channels = std::min(block, call.inner - c0);
      GradientUnit<A> unit{
          call,
          overhang,
          base,
          call.x + b * call.present * call.inner + c0,
          channels,
          {},
          zeros,
          extended,
          table};
      auto& g = unit.kernel;
      g.lo_stride = g.hi_stride = call.inner;
      g.taps = call.taps;
      g.sums_stride = sums.stride();
      g.sums_lo = sums.part(part) + (call.per_channel ? c0 : 0);
      g.sums_hi = g.sums_lo + call.taps * sums.width();
      g.channels = channels;
      const A* gl = call.lo + b * call.lo_rows * call.inner + c0;
      const A* gh = call.hi + b * call.coefficients * call.inner + c0;
      const Range all{o, std::min(o + kUnitRows, call.coefficients)};
      const int64_t first = std::clamp(inside, all.first, all.last);
      const int64_t last = std::clamp(outside, first, all.last);
      unit.run({all.first, first}, gl, gh, true);
      unit.run({first, last}, gl, gh, false);
      unit.run({last, all.last}, gl, gh, true);
    }
  });
  const auto total = sums.total();
  const size_t half = total.size() / 2;
  lo.resize(half, 0.0);
  hi.resize(half, 0.0);
  for (size_t i = 0; i < half; ++i) {
    lo[i] += total[i];
    hi[i] += total[half + i];
  }
}

template void add_filter_gradient(
    const FilterGradient<float>&,
    std::vector<double>&,
    std::vector<double>&);
template void add_filter_gradient(
    const FilterGradient<double>&,
    std::vector<double>&,
    std::vector<double>&);

} // namespace signalllm::ops::cpu
