#include "ops/cpu/synthesis.h"

#include "ops/cpu/rows.h"
#include "ops/cpu/synthesis_level.h"

// A job is (batch entry, block of channels, tile of the output's rows). From
// the output inwards it finds which rows of each level it needs, about half as
// many per level, and then computes them from the coarsest level outwards into
// the thread's scratch, the last one into the output.

namespace signalllm::ops::cpu {
namespace {

template <class A>
void run_job(const SynthesisStage<A>& s, int64_t job) {
  const auto& call = s.call;
  const Cut cut(call, s.block, s.tiles(), job);
  const int64_t channels = cut.channels, c0 = cut.c0;
  const int64_t count = s.levels();
  const auto out = cut.place(call.storage, s.level(0).wanted);
  const bool copied = !out.in_place();

  const bool one = s.tiles() == 1;
  const auto own = one ? std::vector<Span>() : s.rows_of(cut.tile);
  const auto& made = one ? s.whole : own;
  int64_t space[2] = {copied ? made[0].size() : 0, 0};
  int64_t widest = 0;
  for (int64_t l = 0; l < count; ++l) {
    const int64_t n = made[l + 1].size();
    if (l + 1 < count || copied) {
      space[(l + 1) % 2] = std::max(space[(l + 1) % 2], n);
    }
    widest = copied ? std::max(widest, n) : 0;
  }

  const int64_t line_rows =
      cut.entries > 1 ? std::max(widest, made[0].size()) : 0;
  const int64_t table_rows = pair_table_size(s.steps);
  const auto bytes = [&](int64_t rows) {
    return Scratch::bytes_for(rows * channels, sizeof(A));
  };
  Scratch scratch(
      Scratch::bytes_for(table_rows, sizeof(A*)) + bytes(1) +
      bytes(2 * kEdgePairs) + bytes(space[0]) + bytes(space[1]) +
      bytes(widest) + bytes(line_rows) +
      Scratch::bytes_for(s.narrow_space(), sizeof(A)));
  const A** table = scratch.take<const A*>(table_rows);
  A* zeros = scratch.take<A>(channels);
  std::fill_n(zeros, channels, A(0));
  A* rows = scratch.take<A>(2 * kEdgePairs * channels);
  A* buffer[2] = {
      scratch.take<A>(space[0] * channels),
      scratch.take<A>(space[1] * channels)};
  A* d_copy = scratch.take<A>(widest * channels);
  A* line = scratch.take<A>(line_rows * channels);
  A* runs = scratch.take<A>(s.narrow_space());

  const auto load = [&](const void* tensor,
                        int64_t in_rows,
                        const Span& span,
                        A* copy) {
    return load_strip<A>(
        cut.place(call.storage, in_rows), tensor, span, copy, channels, line);
  };
  auto a = load(
      call.approximation,
      call.approximation_rows,
      made[count],
      buffer[count % 2]);
  for (int64_t l = count - 1; l >= 0; --l) {
    const auto& v = s.level(l);
    const bool direct = l == 0 && !copied;
    const Strip<A> y = direct
        ? Strip<A>(static_cast<A*>(call.output) + out.start, out.stride)
        : Strip<A>(buffer[l % 2], channels, made[l]);
    SynthesisLevelJob<A> work{
        s,
        l,
        a,
        load(v.detail, v.coefficients, made[l + 1], d_copy),
        y,
        channels,
        Pairs<A>{},
        zeros,
        rows,
        table,
        runs};
    work.pairs.steps = s.steps;
    work.pairs.taps = call.filters + (call.per_channel ? c0 : 0);
    work.pairs.taps_stride = call.per_channel ? call.width() : 0;
    work.pairs.lattice = call.lattice.stages > 0 ? &call.lattice : nullptr;
    work.pairs.stream = s.streams && direct;
    work.pairs.prefetch = s.streams && direct ? 4 : 0;
    work.run(made[l].low);
    work.run(made[l].high);
    a = y;
  }
  if (copied) {
    const Range rows_made = made[0].low;
    store_rows(
        out, a.at(rows_made.first), call.output, rows_made, channels, line);
  }
}

} // namespace

template <class A>
void synthesise(const Synthesis<A>& call) {
  if (call.batch == 0 || call.inner == 0 || call.levels.empty()) {
    return;
  }
  const int64_t bytes = bytes_of(call.storage) * call.batch * call.inner *
      call.levels[0].wanted * 2;
  const bool aligned = call.entries == 1 &&
      call.inner * bytes_of(call.storage) % 64 == 0 &&
      reinterpret_cast<uintptr_t>(call.output) % 64 == 0;
  SynthesisStage<A> s{call, 0, 0};
  plan_stage(s);
  s.prepare();
  s.streams = (aligned || s.narrow.width > 0) && bytes >= kStreamBytes;
  run_jobs(
      count_jobs(call, s.block, s.tiles()), s.tile * s.block, [&](int64_t job) {
        run_job(s, job);
      });
}

template void synthesise(const Synthesis<float>&);
template void synthesise(const Synthesis<double>&);

} // namespace signalllm::ops::cpu
