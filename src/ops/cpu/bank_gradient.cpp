#include "ops/cpu/bank_gradient.h"

#include "ops/cpu/analysis_level.h"
#include "ops/cpu/sums.h"
#include "ops/cpu/synthesis_level.h"

#include <algorithm>

// A job is (batch entry, block of channels, tile of the sequence). It goes down
// through the levels and keeps what it reads of u_1 .. u_{n-1} in scratch, then
// comes up with v_l and adds the products of the rows of level l that it owns.
// Jobs of one part run one after the other and add to the same sums.

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kUnitRows = 64; // coefficients whose rows fit the first cache

/// Rows `own` of level l, `job` set up for reading u_{l-1}.
template <class A>
void add_rows(
    AnalysisLevelJob<A>& job,
    FirGradient<A> g,
    Range own,
    const Strip<const A>& lo,
    const Strip<const A>& hi) {
  const auto& v = job.stage.level(job.l);
  const int64_t taps = job.stage.call.taps;
  const int64_t base = job.stage.base;
  const int64_t most = v.present - taps - base;
  const int64_t inside = std::clamp((1 - base) / 2, own.first, own.last);
  const int64_t outside =
      std::clamp(most < 0 ? 0 : most / 2 + 1, inside, own.last);
  const auto run = [&](Range all, bool by_table) {
    for (int64_t o = all.first; o < all.last; o += kUnitRows) {
      g.rows = std::min(kUnitRows, all.last - o);
      g.lo = lo.at(o);
      g.hi = hi.at(o);
      g.lo_stride = lo.stride;
      g.hi_stride = hi.stride;
      if (by_table) {
        job.fill_table(o, g.rows);
      }
      g.table = by_table ? job.table : nullptr;
      g.x = by_table ? nullptr : job.x.at(2 * o + base);
      g.row_step = 2 * job.x.stride;
      g.tap_step = job.x.stride;
      kernels<A>().fir_gradient(g);
    }
  };
  run({own.first, inside}, true);
  run({inside, outside}, false);
  run({outside, own.last}, true);
}

/// The same for narrow rows. `sums` has room for the sums of all values of a
/// kernel's row, `[2 taps][width]`, where these are one a channel.
template <class A>
void add_narrow_rows(
    AnalysisLevelJob<A>& job,
    FirGradient<A> g,
    Range own,
    const Strip<const A>& lo,
    const Strip<const A>& hi,
    A* sums) {
  const auto& narrow = job.stage.narrow;
  const int64_t width = narrow.width, channels = job.channels;
  A* const part = g.sums_lo;
  const int64_t part_width = g.sums_stride;
  if (part_width > 0) {
    std::fill_n(sums, 2 * g.taps * width, A(0));
    g.sums_lo = sums;
    g.sums_hi = sums + g.taps * width;
    g.sums_stride = width;
  }
  g.channels = g.lo_stride = g.hi_stride = width;
  g.tap_rows = job.tap_rows;
  A* const spare = job.phases + 2 * job.stage.phase_space();
  A* const spare_hi = spare + narrow.space(0);
  for (int64_t o = own.first; o < own.last; o += narrow.rows) {
    const int64_t n = std::min(narrow.rows, own.last - o);
    job.fill_phases(o, n);
    job.place_taps(0);
    g.lo = lo.at(o);
    g.hi = hi.at(o);
    g.rows = n * channels / width;
    kernels<A>().fir_gradient(g);
    const int64_t done = g.rows * width, left = n * channels - done;
    if (left > 0) {
      std::fill_n(spare + left, width - left, A(0));
      std::fill_n(spare_hi + left, width - left, A(0));
      std::copy_n(g.lo + done, left, spare);
      std::copy_n(g.hi + done, left, spare_hi);
      job.place_taps(done);
      g.lo = spare;
      g.hi = spare_hi;
      g.rows = 1;
      kernels<A>().fir_gradient(g);
    }
  }
  for (int64_t k = 0; part_width > 0 && k < 2 * g.taps; ++k) {
    for (int64_t i = 0; i < width; ++i) {
      part[k * part_width + i % channels] += sums[k * width + i];
    }
  }
}

template <class A>
struct GradientRun {
  const BankGradient<A>& call;
  AnalysisStage<A> down;
  SynthesisStage<A> up;
  int64_t levels;
  PartialSums<A> sums;

  void run_job(int64_t job, int64_t part) {
    const auto& d = call.down;
    const auto& u = call.up;
    const Cut cut(d, down.block, down.tiles(), job);
    const int64_t channels = cut.channels, c0 = cut.c0, t = cut.tile;
    const bool copied = !cut.place(d.storage, 0).in_place();

    // made[l]: rows of u_{l+1}; back[l]: rows of v_l and, for l + 1, of level
    // l's details.
    const auto tile = down.rows_of(t);
    const auto& made = tile.made;
    const Span read = tile.read;
    std::vector<Span> back(levels + 1);
    for (int64_t l = 0; l < levels; ++l) {
      back[l + 1] = up.read(l, back[l]);
      back[l + 1].include(down.owned(l, t));
    }
    int64_t kept = 0, widest = 0;
    for (int64_t l = 0; l < levels; ++l) {
      kept += l + 1 < levels ? made[l].size() : 0;
      widest = std::max(widest, back[l + 1].size());
    }

    const int64_t line_rows =
        cut.entries > 1 ? std::max(read.size(), widest) : 0;
    const int64_t table_rows =
        std::max(table_size(d.taps), pair_table_size(up.steps));
    const int64_t edge_rows = std::max(extended_rows(d.taps), 2 * kEdgePairs);
    const int64_t narrow_space =
        std::max(down.narrow_space(), up.narrow_space());
    const int64_t narrow_sums = 2 * d.taps * down.narrow.width;
    const auto bytes = [&](int64_t rows) {
      return Scratch::bytes_for(rows * channels, sizeof(A));
    };
    Scratch scratch(
        Scratch::bytes_for(table_rows, sizeof(A*)) + bytes(1) +
        bytes(edge_rows) + levels * 64 + bytes(kept) + 2 * bytes(widest) +
        Scratch::bytes_for(narrow_space, sizeof(A)) +
        Scratch::bytes_for(narrow_sums, sizeof(A)) +
        Scratch::bytes_for(down.narrow_taps(), sizeof(TapRow<A>)) +
        (copied ? bytes(read.size()) + 2 * bytes(widest) : 0) +
        bytes(line_rows));
    const auto rows = [&](int64_t n) { return scratch.take<A>(n * channels); };
    const A** table = scratch.take<const A*>(table_rows);
    A* zeros = rows(1);
    std::fill_n(zeros, channels, A(0));
    A* edge = rows(edge_rows);
    A* buffer[2] = {rows(widest), rows(widest)};
    A* runs = scratch.take<A>(narrow_space);
    A* repeated = scratch.take<A>(narrow_sums);
    A* line = rows(line_rows);
    auto* tap_rows = scratch.take<TapRow<A>>(down.narrow_taps());

    const auto load =
        [&](const void* tensor, int64_t count, const Span& span, A* copy) {
          return load_strip<A>(
              cut.place(d.storage, count), tensor, span, copy, channels, line);
        };
    A* d_copy = copied ? rows(widest) : nullptr;
    std::vector<Strip<const A>> us{load(
        d.input,
        d.levels[0].present,
        read,
        copied ? rows(read.size()) : nullptr)};
    const auto reader = [&](int64_t l) {
      AnalysisLevelJob<A> work{
          down, l, us[l], channels, {}, zeros, edge, table, runs, tap_rows, 0};
      work.fir.taps = d.taps;
      work.fir.taps_stride = d.per_channel ? d.width() : 0;
      work.fir.taps_lo = d.lo + (d.per_channel ? c0 : 0);
      work.fir.lattice = d.lattice.stages > 0 ? &d.lattice : nullptr;
      return work;
    };
    for (int64_t l = 0; l + 1 < levels; ++l) {
      const Strip<A> next(rows(made[l].size()), channels, made[l]);
      auto work = reader(l);
      for (const Range part : {made[l].low, made[l].high}) {
        if (part.size() > 0) {
          work.run(part, next.at(part.first), channels, nullptr, 0);
        }
      }
      us.push_back(next);
    }
    auto v = load(
        u.approximation,
        u.approximation_rows,
        back[levels],
        copied ? rows(widest) : nullptr);
    for (int64_t l = levels - 1; l >= 0; --l) {
      const auto detail = load(
          u.levels[l].detail, u.levels[l].coefficients, back[l + 1], d_copy);
      auto work = reader(l);
      FirGradient<A> g;
      g.sums_stride = sums.stride();
      g.sums_lo = sums.part(part) + (d.per_channel ? c0 : 0);
      g.sums_hi = g.sums_lo + d.taps * sums.width();
      g.taps = d.taps;
      g.channels = channels;
      const Range own = down.owned(l, t);
      if (own.size() > 0 && down.narrow.width > 0) {
        add_narrow_rows(work, g, own, v, detail, repeated);
      } else if (own.size() > 0) {
        add_rows(work, g, own, v, detail);
      }
      if (l == 0) {
        break;
      }
      const Strip<A> y(buffer[l % 2], channels, back[l]);
      SynthesisLevelJob<A> up_work{
          up, l, v, detail, y, channels, {}, zeros, edge, table, runs};
      up_work.pairs.steps = up.steps;
      up_work.pairs.taps = u.filters + (u.per_channel ? c0 : 0);
      up_work.pairs.taps_stride = u.per_channel ? u.width() : 0;
      up_work.pairs.lattice = u.lattice.stages > 0 ? &u.lattice : nullptr;
      up_work.run(back[l].low);
      up_work.run(back[l].high);
      v = y;
    }
  }
};

/// Chooses block and tile by the shape alone, so that the sums do not depend
/// on the threads.
template <class A>
void plan_gradient(AnalysisStage<A>& s) {
  const auto& call = s.call;
  // A job keeps about twice its tile, four times where half precision is
  // widened beside it: less than 1 MiB.
  const int64_t values = (is_half(call.storage) ? 192 : 384) * 1024 /
      static_cast<int64_t>(sizeof(A));
  const int64_t length = s.level(0).length;
  const int64_t unit = int64_t{1} << std::min<int64_t>(s.last, 40);
  const int64_t halo = (call.taps - 2) * (unit - 1);
  const bool tiled = 4 * halo < length;
  const int64_t rows =
      tiled ? std::min(length, std::max<int64_t>(64, 4 * halo)) : length;
  s.block = block_of(call, rows, values);
  if (call.entries == 1) {
    s.block = std::min<int64_t>(64, s.block);
  }
  const int64_t tile = std::max(rows, values / s.block);
  s.tile = !tiled || tile >= length ? length
                                    : std::max<int64_t>(tile / unit, 1) * unit;
}

} // namespace

template <class A>
FilterSums bank_gradient(const BankGradient<A>& call) {
  const auto& d = call.down;
  const auto levels = static_cast<int64_t>(d.levels.size());
  const auto width = static_cast<size_t>(d.per_channel ? d.width() : 1);
  FilterSums out;
  out.lo.assign(d.taps * width, 0.0);
  out.hi = out.lo;
  if (d.batch == 0 || d.inner == 0 || levels == 0) {
    return out;
  }
  AnalysisStage<A> down{
      d, 0, levels, 0, 0, 0, {}, d.input, d.storage, nullptr, d.storage, 0};
  plan_gradient(down);
  const int64_t jobs = count_jobs(d, down.block, down.tiles());
  const int64_t parts = sum_parts(jobs, d.per_channel);
  const int64_t cost = jobs / parts * down.tile * down.block;
  GradientRun<A> run{
      call,
      std::move(down),
      {call.up, 0, 0},
      levels,
      PartialSums<A>(parts, 2 * d.taps, d.width(), d.per_channel)};
  run.down.prepare();
  run.up.prepare();
  run_jobs(parts, cost, [&](int64_t part) {
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
