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
  const int64_t blocks = (call.inner + s.block - 1) / s.block;
  const int64_t tiles = s.tiles();
  const int64_t t = job % tiles;
  const int64_t c0 = job / tiles % blocks * s.block;
  const int64_t b = job / tiles / blocks;
  const int64_t channels = std::min(s.block, call.inner - c0);
  const int64_t count = s.last - s.first;
  const bool half = is_half(call.storage);
  const bool half_in = is_half(s.input_storage);
  const bool half_out = is_half(s.output_storage);

  // made[i]: rows of level first + i's output.
  std::vector<Range> made(count + 1);
  made[0] = {t * s.tile, std::min((t + 1) * s.tile, s.level(s.first).wanted)};
  for (int64_t i = 0; i < count; ++i) {
    made[i + 1] = s.read(s.first + i, made[i]);
  }

  const int64_t table_rows = pair_table_size(s.steps);
  int64_t space[2] = {0, 0};
  int64_t widest = 0;
  for (int64_t i = 0; i <= count; ++i) {
    const bool needed = i == 0 ? half_out : i < count || half_in;
    if (needed) {
      space[i % 2] = std::max(space[i % 2], made[i].size());
    }
    widest = i > 0 && half ? std::max(widest, made[i].size()) : widest;
  }
  const size_t size = sizeof(A);
  Scratch scratch(
      Scratch::bytes_for(table_rows, sizeof(A*)) +
      Scratch::bytes_for(channels, size) +
      Scratch::bytes_for(2 * kEdgePairs * channels, size) +
      Scratch::bytes_for(space[0] * channels, size) +
      Scratch::bytes_for(space[1] * channels, size) +
      Scratch::bytes_for(widest * channels, size));
  const A** table = scratch.take<const A*>(table_rows);
  A* zeros = scratch.take<A>(channels);
  std::fill_n(zeros, channels, A(0));
  A* rows = scratch.take<A>(2 * kEdgePairs * channels);
  A* buffer[2] = {
      scratch.take<A>(space[0] * channels),
      scratch.take<A>(space[1] * channels)};
  A* d_copy = scratch.take<A>(widest * channels);

  const int64_t in_start = b * s.input_rows * call.inner + c0;
  const A* a;
  int64_t a_stride;
  if (half_in) {
    load_rows(
        s.input_storage,
        s.input,
        in_start + made[count].first * call.inner,
        call.inner,
        buffer[count % 2],
        channels,
        made[count].size(),
        channels);
    a = buffer[count % 2] - made[count].first * channels;
    a_stride = channels;
  } else {
    a = static_cast<const A*>(s.input) + in_start;
    a_stride = call.inner;
  }

  const int64_t out_start = b * s.level(s.first).wanted * call.inner + c0;
  for (int64_t i = count - 1; i >= 0; --i) {
    const int64_t l = s.first + i;
    const auto& v = s.level(l);
    const Range in = made[i + 1];
    const int64_t d_start = b * v.coefficients * call.inner + c0;
    const A* d;
    int64_t d_stride;
    if (half) {
      load_rows(
          call.storage,
          v.detail,
          d_start + in.first * call.inner,
          call.inner,
          d_copy,
          channels,
          in.size(),
          channels);
      d = d_copy - in.first * channels;
      d_stride = channels;
    } else {
      d = static_cast<const A*>(v.detail) + d_start;
      d_stride = call.inner;
    }
    const bool direct = i == 0 && !half_out;
    A* y = direct ? static_cast<A*>(s.output) + out_start
                  : buffer[i % 2] - made[i].first * channels;
    const int64_t y_stride = direct ? call.inner : channels;
    SynthesisLevelJob<A> work{
        s,
        l,
        a,
        a_stride,
        d,
        d_stride,
        y,
        y_stride,
        channels,
        Pairs<A>{},
        zeros,
        rows,
        table};
    work.pairs.steps = s.steps;
    work.pairs.taps = call.filters + (call.per_channel ? c0 : 0);
    work.pairs.taps_stride = call.per_channel ? call.inner : 0;
    work.pairs.lattice = call.lattice.stages > 0 ? &call.lattice : nullptr;
    work.pairs.stream = s.streams && direct;
    work.pairs.prefetch = s.streams && !half && i == 0 ? 4 : 0;
    work.run(made[i]);
    a = y;
    a_stride = y_stride;
  }
  if (half_out) {
    store_rows(
        s.output_storage,
        a + made[0].first * channels,
        channels,
        s.output,
        out_start + made[0].first * call.inner,
        call.inner,
        made[0].size(),
        channels);
  }
}

} // namespace

template <class A>
void synthesise(const Synthesis<A>& call) {
  const int64_t all = static_cast<int64_t>(call.levels.size());
  if (call.batch == 0 || call.inner == 0 || all == 0) {
    return;
  }
  const int64_t bytes = bytes_of(call.storage) * call.batch * call.inner *
      call.levels[0].wanted * 2;
  const bool aligned = call.inner * bytes_of(call.storage) % 64 == 0 &&
      reinterpret_cast<uintptr_t>(call.output) % 64 == 0;
  const Storage inner_storage =
      sizeof(A) == 8 ? Storage::float64 : Storage::float32;
  AlignedMemory held;
  const void* input = call.approximation;
  Storage storage = call.storage;
  int64_t input_rows = call.approximation_rows;
  for (int64_t last = all; last > 0;) {
    SynthesisStage<A> s{
        call,
        0,
        last,
        0,
        0,
        0,
        0,
        {},
        input,
        storage,
        input_rows,
        nullptr,
        inner_storage};
    plan_stage(s);
    s.prepare();
    AlignedMemory next;
    if (s.first == 0) {
      s.output = call.output;
      s.output_storage = call.storage;
    } else {
      next = aligned_memory(
          sizeof(A) * call.batch * call.levels[s.first].wanted * call.inner);
      s.output = next.get();
    }
    s.streams = aligned && bytes >= kStreamBytes && s.first == 0;
    const int64_t blocks = (call.inner + s.block - 1) / s.block;
    run_jobs(
        call.batch * blocks * s.tiles(), s.tile * s.block, [&](int64_t job) {
          run_job(s, job);
        });
    held = std::move(next);
    input = held.get();
    storage = inner_storage;
    input_rows = call.levels[s.first].wanted;
    last = s.first;
  }
}

template void synthesise(const Synthesis<float>&);
template void synthesise(const Synthesis<double>&);

} // namespace signalllm::ops::cpu
