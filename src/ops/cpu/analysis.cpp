#include "ops/cpu/analysis.h"

#include "ops/cpu/analysis_level.h"
#include "ops/cpu/rows.h"

// A job is (batch entry, block of channels, tile of the sequence). It owns at
// level l the output rows `own[l]` and computes all of `made[l]`: what it owns
// and what its next level reads. Approximations between levels live in the
// thread's scratch only. Jobs share nothing, so a tile's halo of at most
// (taps - 2) (2^levels - 1) rows is computed twice.

namespace signalllm::ops::cpu {
namespace {

constexpr int64_t kHalfRows = 64; // computed in float before they are rounded

template <class A>
void run_job(const AnalysisStage<A>& s, int64_t job) {
  const auto& call = s.call;
  const int64_t blocks = (call.inner + s.block - 1) / s.block;
  const int64_t tiles = s.tiles();
  const int64_t t = job % tiles;
  const int64_t c0 = job / tiles % blocks * s.block;
  const int64_t b = job / tiles / blocks;
  const int64_t channels = std::min(s.block, call.inner - c0);
  const int64_t count = s.last - s.first;
  const bool half_out = is_half(call.storage);
  const bool half_in = is_half(s.input_storage);

  // From the last level up: what each must make, and what it reads.
  std::vector<Range> made(count);
  Range read;
  for (int64_t i = count - 1; i >= 0; --i) {
    made[i] = s.owned(s.first + i, t);
    if (i < count - 1 && read.size() > 0) {
      if (made[i].size() == 0) {
        made[i] = read;
      } else {
        made[i] = {
            std::min(made[i].first, read.first),
            std::max(made[i].last, read.last)};
      }
    }
    read = s.read(s.first + i, made[i]);
  }
  if (made[0].size() == 0) {
    return;
  }

  const int64_t table_rows = table_size(call.taps);
  const int64_t extra_rows = extended_rows(call.taps);
  int64_t between[2] = {0, 0};
  for (int64_t i = 0; i + 1 < count; ++i) {
    between[i % 2] = std::max(between[i % 2], made[i].size());
  }
  const int64_t chunk = half_out ? kHalfRows : 0;
  const size_t size = sizeof(A);
  Scratch scratch(
      Scratch::bytes_for(table_rows, sizeof(A*)) +
      Scratch::bytes_for(channels, size) +
      Scratch::bytes_for(extra_rows * channels, size) +
      Scratch::bytes_for(between[0] * channels, size) +
      Scratch::bytes_for(between[1] * channels, size) +
      2 * Scratch::bytes_for(chunk * channels, size) +
      Scratch::bytes_for(half_in ? read.size() * channels : 0, size));
  const A** table = scratch.take<const A*>(table_rows);
  A* zeros = scratch.take<A>(channels);
  std::fill_n(zeros, channels, A(0));
  A* extended = scratch.take<A>(extra_rows * channels);
  A* buffer[2] = {
      scratch.take<A>(between[0] * channels),
      scratch.take<A>(between[1] * channels)};
  A* lo_chunk = scratch.take<A>(chunk * channels);
  A* hi_chunk = scratch.take<A>(chunk * channels);

  const int64_t in_start = b * s.level(s.first).present * call.inner + c0;
  const A* x;
  int64_t x_stride;
  if (half_in) {
    A* copy = scratch.take<A>(read.size() * channels);
    load_rows(
        s.input_storage,
        s.input,
        in_start + read.first * call.inner,
        call.inner,
        copy,
        channels,
        read.size(),
        channels);
    x = copy - read.first * channels;
    x_stride = channels;
  } else {
    x = static_cast<const A*>(s.input) + in_start;
    x_stride = call.inner;
  }

  for (int64_t i = 0; i < count; ++i) {
    const int64_t l = s.first + i;
    const auto& v = s.level(l);
    const bool final_level = i == count - 1;
    const Range own = s.owned(l, t);
    AnalysisLevelJob<A> work{
        s,
        l,
        x,
        x_stride,
        channels,
        {},
        zeros,
        extended,
        table,
        s.streams && i == 0 && !half_in ? 4 : 0};
    work.fir.taps = call.taps;
    work.fir.taps_stride = call.per_channel ? call.inner : 0;
    work.fir.taps_lo = call.lo + (call.per_channel ? c0 : 0);
    work.fir.taps_hi = call.hi + (call.per_channel ? c0 : 0);
    work.fir.lattice = call.lattice.stages > 0 ? &call.lattice : nullptr;

    // Where a of row o goes in scratch: a + o * channels.
    A* a = final_level ? nullptr : buffer[i % 2] - made[i].first * channels;
    const int64_t d_start = (b * v.coefficients) * call.inner + c0;
    const int64_t a_start = (b * s.output_rows) * call.inner + c0;

    if (!final_level) {
      for (const Range halo :
           {Range{made[i].first, std::min(own.first, made[i].last)},
            Range{std::max(own.last, made[i].first), made[i].last}}) {
        if (own.size() > 0 && halo.size() > 0) {
          work.run(halo, a + halo.first * channels, channels, nullptr, 0);
        }
      }
      if (own.size() == 0) {
        work.run(made[i], buffer[i % 2], channels, nullptr, 0);
      }
    }
    // Detail to a tensor of A, or through a chunk to half precision.
    const int64_t step =
        half_out ? kHalfRows : std::max<int64_t>(own.size(), 1);
    for (int64_t o = own.first; o < own.last; o += step) {
      const Range part{o, std::min(o + step, own.last)};
      const bool a_half = final_level && is_half(s.output_storage);
      A* lo = !final_level ? a + o * channels
          : a_half         ? lo_chunk
                   : static_cast<A*>(s.output) + a_start + o * call.inner;
      const int64_t lo_stride = !final_level || a_half ? channels : call.inner;
      A* hi = v.detail == nullptr ? nullptr
          : half_out              ? hi_chunk
                     : static_cast<A*>(v.detail) + d_start + o * call.inner;
      work.fir.stream_lo = s.streams && final_level && !a_half;
      work.fir.stream_hi = s.streams && !half_out;
      work.run(part, lo, lo_stride, hi, half_out ? channels : call.inner);
      if (hi && half_out) {
        store_rows(
            call.storage,
            hi_chunk,
            channels,
            v.detail,
            d_start + o * call.inner,
            call.inner,
            part.size(),
            channels);
      }
      if (a_half) {
        store_rows(
            s.output_storage,
            lo_chunk,
            channels,
            s.output,
            a_start + o * call.inner,
            call.inner,
            part.size(),
            channels);
      }
    }
    x = a;
    x_stride = channels;
  }
}

} // namespace

template <class A>
void analyse(const Analysis<A>& call) {
  const int64_t all = static_cast<int64_t>(call.levels.size());
  if (call.batch == 0 || call.inner == 0 || all == 0) {
    return;
  }
  const int64_t bytes = bytes_of(call.storage) * call.batch * call.inner *
      call.levels[0].length * 2;
  bool aligned = call.inner * bytes_of(call.storage) % 64 == 0 &&
      reinterpret_cast<uintptr_t>(call.approximation) % 64 == 0;
  for (const auto& v : call.levels) {
    aligned = aligned && reinterpret_cast<uintptr_t>(v.detail) % 64 == 0;
  }
  AlignedMemory held;
  const void* input = call.input;
  Storage storage = call.storage;
  const Storage inner_storage =
      sizeof(A) == 8 ? Storage::float64 : Storage::float32;
  for (int64_t first = 0; first < all;) {
    AnalysisStage<A> s{
        call, first, 0, 0, 0, 0, {}, input, storage, nullptr, inner_storage, 0};
    plan_stage(s);
    s.prepare();
    AlignedMemory next;
    if (s.last == all) {
      s.output = call.approximation;
      s.output_storage = call.storage;
      s.output_rows = call.approximation_rows;
    } else {
      s.output_rows = call.levels[s.last].present;
      next =
          aligned_memory(sizeof(A) * call.batch * s.output_rows * call.inner);
      s.output = next.get();
    }
    s.streams = aligned && bytes >= kStreamBytes;
    const int64_t blocks = (call.inner + s.block - 1) / s.block;
    run_jobs(
        call.batch * blocks * s.tiles(),
        std::min(s.tile, call.levels[first].length) * s.block,
        [&](int64_t job) { run_job(s, job); });
    held = std::move(next);
    input = held.get();
    storage = inner_storage;
    first = s.last;
  }
}

template void analyse(const Analysis<float>&);
template void analyse(const Analysis<double>&);

} // namespace signalllm::ops::cpu
