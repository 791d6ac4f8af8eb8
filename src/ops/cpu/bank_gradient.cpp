#include "ops/cpu/bank_gradient.h"

#include "ops/cpu/analysis_level.h"
#include "ops/cpu/sums.h"
#include "ops/cpu/synthesis_level.h"

#include <algorithm>

// A job is (batch entry, block of channels). It goes down through the levels
// and keeps u_1 .. u_{n-1} in scratch, then comes up with v_l and adds level
// l's products while both lie in the cache. Jobs of one part run one after the
// other and add to the same sums.

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kUnitRows = 64; // coefficients whose rows fit the first cache

template <class A>
struct Rows {
  const A* data;
  int64_t stride;
};

/// Level l's part, `job` set up for reading u_{l-1}.
template <class A>
void add_level(
    AnalysisLevelJob<A>& job,
    FirGradient<A> g,
    Rows<A> lo,
    Rows<A> hi) {
  const auto& v = job.stage.level(job.l);
  const int64_t taps = job.stage.call.taps;
  const int64_t base = job.stage.base;
  const int64_t most = v.present - taps - base;
  const int64_t inside = std::min((1 - base) / 2, v.coefficients);
  const int64_t outside =
      std::clamp(most < 0 ? 0 : most / 2 + 1, inside, v.coefficients);
  const auto run = [&](Range all, int64_t step, bool by_table) {
    for (int64_t o = all.first; o < all.last; o += step) {
      g.rows = std::min(step, all.last - o);
      g.lo = lo.data + o * lo.stride;
      g.hi = hi.data + o * hi.stride;
      g.lo_stride = lo.stride;
      g.hi_stride = hi.stride;
      if (by_table) {
        int64_t used = 0;
        for (int64_t i = 0; i < 2 * (g.rows - 1) + taps; ++i) {
          job.table[i] = job.row(2 * o + base + i, used);
        }
      }
      g.table = by_table ? job.table : nullptr;
      g.x = by_table ? nullptr : job.x + (2 * o + base) * job.x_stride;
      g.row_step = 2 * job.x_stride;
      g.tap_step = job.x_stride;
      kernels<A>().fir_gradient(g);
    }
  };
  run({0, inside}, kUnitRows, true);
  run({inside, outside}, kUnitRows, false);
  run({outside, v.coefficients}, kUnitRows, true);
}

template <class A>
struct GradientRun {
  const BankGradient<A>& call;
  AnalysisStage<A> down;
  SynthesisStage<A> up;
  int64_t levels, block, parts;
  PartialSums<A> sums;

  void run_job(int64_t i, int64_t part) {
    const auto& d = call.down;
    const auto& u = call.up;
    const int64_t blocks = (d.inner + block - 1) / block;
    const int64_t c0 = i % blocks * block;
    const int64_t b = i / blocks;
    const int64_t channels = std::min(block, d.inner - c0);
    const int64_t table_rows = table_size(d.taps);
    const int64_t edge_rows = std::max(extended_rows(d.taps), 2 * kEdgePairs);
    // Rows of u_l, and of v_l, l = 1 .. levels - 1.
    int64_t between = 0;
    for (int64_t l = 1; l < levels; ++l) {
      between += d.levels[l - 1].coefficients;
    }
    const size_t size = sizeof(A);
    Scratch scratch(
        Scratch::bytes_for(table_rows, sizeof(A*)) +
        Scratch::bytes_for(channels, size) +
        Scratch::bytes_for(edge_rows * channels, size) +
        2 * Scratch::bytes_for(between * channels, size));
    const A** table = scratch.take<const A*>(table_rows);
    A* zeros = scratch.take<A>(channels);
    std::fill_n(zeros, channels, A(0));
    A* edge = scratch.take<A>(edge_rows * channels);
    A* u_next = scratch.take<A>(between * channels);
    A* v_next = scratch.take<A>(between * channels);

    const auto tensor = [&](const void* data, int64_t rows) {
      return Rows<A>{
          static_cast<const A*>(data) + b * rows * d.inner + c0, d.inner};
    };
    std::vector<Rows<A>> us{tensor(d.input, d.levels[0].present)};
    const auto reader = [&](int64_t l) {
      AnalysisLevelJob<A> job{
          down,
          l,
          us[l].data,
          us[l].stride,
          channels,
          {},
          zeros,
          edge,
          table,
          0};
      job.fir.taps = d.taps;
      job.fir.taps_stride = d.per_channel ? d.inner : 0;
      job.fir.taps_lo = d.lo + (d.per_channel ? c0 : 0);
      job.fir.lattice = d.lattice.stages > 0 ? &d.lattice : nullptr;
      return job;
    };
    for (int64_t l = 0; l + 1 < levels; ++l) {
      const int64_t n = d.levels[l].coefficients;
      reader(l).run({0, n}, u_next, channels, nullptr, 0);
      us.push_back({u_next, channels});
      u_next += n * channels;
    }
    Rows<A> v = tensor(u.approximation, u.approximation_rows);
    for (int64_t l = levels - 1; l >= 0; --l) {
      const auto detail = tensor(u.levels[l].detail, u.levels[l].coefficients);
      auto job = reader(l);
      FirGradient<A> g;
      g.sums_stride = sums.stride();
      g.sums_lo = sums.part(part) + (d.per_channel ? c0 : 0);
      g.sums_hi = g.sums_lo + d.taps * sums.width();
      g.taps = d.taps;
      g.channels = channels;
      add_level(job, g, v, detail);
      if (l == 0) {
        break;
      }
      SynthesisLevelJob<A> back{
          up,
          l,
          v.data,
          v.stride,
          detail.data,
          detail.stride,
          v_next,
          channels,
          channels,
          {},
          zeros,
          edge,
          table};
      back.pairs.steps = up.steps;
      back.pairs.taps = u.filters + (u.per_channel ? c0 : 0);
      back.pairs.taps_stride = u.per_channel ? u.inner : 0;
      back.pairs.lattice = u.lattice.stages > 0 ? &u.lattice : nullptr;
      back.run({0, u.levels[l].wanted});
      v = {v_next, channels};
      v_next += u.levels[l].wanted * channels;
    }
  }
};

} // namespace

template <class A>
FilterSums bank_gradient(const BankGradient<A>& call) {
  const auto& d = call.down;
  const auto levels = static_cast<int64_t>(d.levels.size());
  const auto width = static_cast<size_t>(d.per_channel ? d.inner : 1);
  FilterSums out;
  out.lo.assign(d.taps * width, 0.0);
  out.hi = out.lo;
  if (d.batch == 0 || d.inner == 0 || levels == 0) {
    return out;
  }
  // Fixed by the shape alone, so that the sums do not depend on the threads.
  const int64_t block = std::min<int64_t>(
      64,
      channel_block(
          d.inner, d.levels[0].length, int64_t{512} * 1024 / sizeof(A)));
  const int64_t jobs = d.batch * ((d.inner + block - 1) / block);
  const int64_t parts = sum_parts(jobs, d.per_channel);
  const Storage storage = sizeof(A) == 8 ? Storage::float64 : Storage::float32;
  GradientRun<A> run{
      call,
      {d, 0, levels, block, 0, 0, {}, d.input, storage, nullptr, storage, 0},
      {call.up,
       0,
       levels,
       block,
       0,
       0,
       0,
       {},
       nullptr,
       storage,
       0,
       nullptr,
       storage},
      levels,
      block,
      parts,
      PartialSums<A>(parts, 2 * d.taps, d.inner, d.per_channel)};
  run.down.prepare();
  run.up.prepare();
  run_jobs(parts, jobs / parts * d.levels[0].length * block, [&](int64_t part) {
    for (int64_t i = jobs * part / parts; i < jobs * (part + 1) / parts; ++i) {
      run.run_job(i, part);
    }
  });
  const auto total = run.sums.total();
  const auto half = static_cast<int64_t>(total.size()) / 2;
  out.lo.assign(total.begin(), total.begin() + half);
  out.hi.assign(total.begin() + half, total.end());
  return out;
}

template FilterSums bank_gradient(const BankGradient<float>&);
template FilterSums bank_gradient(const BankGradient<double>&);

} // namespace signalllm::ops::cpu
