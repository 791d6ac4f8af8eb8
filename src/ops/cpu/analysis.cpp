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
int64_t half_rows(const AnalysisStage<A>& s) {
  return s.narrow.width > 0 ? s.narrow.rows : kHalfRows;
}

/// One job: what it makes, and its scratch.
template <class A>
class AnalysisJob {
 public:
  AnalysisJob(const AnalysisStage<A>& stage, int64_t job)
      : s_(stage), call_(stage.call), tile_(job % stage.tiles()) {
    const int64_t blocks = (call_.inner + s_.block - 1) / s_.block;
    c0_ = job / s_.tiles() % blocks * s_.block;
    batch_ = job / s_.tiles() / blocks;
    channels_ = std::min(s_.block, call_.inner - c0_);
    made_ = s_.made(tile_, read_);
  }

  void run() {
    if (made_[0].size() == 0) {
      return;
    }
    const bool half_in = is_half(s_.input_storage);
    chunk_rows_ = is_half(call_.storage) ? half_rows(s_) : 0;
    int64_t between[2] = {0, 0};
    for (size_t i = 0; i + 1 < made_.size(); ++i) {
      between[i % 2] = std::max(between[i % 2], made_[i].size());
    }
    const auto bytes = [&](int64_t rows) {
      return Scratch::bytes_for(rows * channels_, sizeof(A));
    };
    Scratch scratch(
        Scratch::bytes_for(table_size(call_.taps), sizeof(A*)) + bytes(1) +
        bytes(extended_rows(call_.taps)) + bytes(between[0]) +
        bytes(between[1]) + 2 * bytes(chunk_rows_) +
        Scratch::bytes_for(s_.narrow_space(), sizeof(A)) +
        Scratch::bytes_for(s_.narrow_taps(), sizeof(TapRow<A>)) +
        bytes(half_in ? read_.size() : 0));
    const auto rows = [&](int64_t n) { return scratch.take<A>(n * channels_); };
    table_ = scratch.take<const A*>(table_size(call_.taps));
    zeros_ = rows(1);
    std::fill_n(zeros_, channels_, A(0));
    extended_ = rows(extended_rows(call_.taps));
    A* const buffer[2] = {rows(between[0]), rows(between[1])};
    lo_chunk_ = rows(chunk_rows_);
    hi_chunk_ = rows(chunk_rows_);
    phases_ = scratch.take<A>(s_.narrow_space());
    tap_rows_ = scratch.take<TapRow<A>>(s_.narrow_taps());
    auto x = load_strip<A>(
        s_.input_storage,
        s_.input,
        start(s_.level(s_.first).present),
        call_.inner,
        read_,
        half_in ? rows(read_.size()) : nullptr,
        channels_);
    for (int64_t i = 0; i < static_cast<int64_t>(made_.size()); ++i) {
      const Strip<A> a(buffer[i % 2], channels_, made_[i]);
      run_level(i, x, a);
      x = a;
    }
  }

 private:
  bool is_last(int64_t i) const {
    return i + 1 == static_cast<int64_t>(made_.size());
  }
  /// Where the job's values begin in a tensor of that many rows.
  int64_t start(int64_t rows) const {
    return batch_ * rows * call_.inner + c0_;
  }

  AnalysisLevelJob<A> level_job(int64_t i, const Strip<const A>& x) const {
    const bool reads_memory =
        s_.streams && i == 0 && !is_half(s_.input_storage);
    AnalysisLevelJob<A> work{
        s_,
        s_.first + i,
        x,
        channels_,
        {},
        zeros_,
        extended_,
        table_,
        phases_,
        tap_rows_,
        reads_memory ? 4 : 0};
    work.fir.taps = call_.taps;
    work.fir.taps_stride = call_.per_channel ? call_.inner : 0;
    work.fir.taps_lo = call_.lo + (call_.per_channel ? c0_ : 0);
    work.fir.taps_hi = call_.hi + (call_.per_channel ? c0_ : 0);
    work.fir.lattice = call_.lattice.stages > 0 ? &call_.lattice : nullptr;
    return work;
  }

  void run_level(int64_t i, const Strip<const A>& x, const Strip<A>& a) {
    auto work = level_job(i, x);
    const Range own = s_.owned(s_.first + i, tile_);
    if (!is_last(i)) {
      for (const Range part : {made_[i].low, made_[i].high}) {
        for (const Range halo :
             {Range{part.first, std::min(own.first, part.last)},
              Range{std::max(own.last, part.first), part.last}}) {
          if (own.size() > 0 && halo.size() > 0) {
            work.run(halo, a.at(halo.first), a.stride, nullptr, 0);
          }
        }
        if (own.size() == 0 && part.size() > 0) {
          work.run(part, a.at(part.first), a.stride, nullptr, 0);
        }
      }
    }
    const int64_t step =
        chunk_rows_ > 0 ? chunk_rows_ : std::max<int64_t>(own.size(), 1);
    for (int64_t o = own.first; o < own.last; o += step) {
      run_own(work, i, {o, std::min(o + step, own.last)}, a);
    }
  }

  /// Rows that the job owns: to the tensors, or through a chunk to those of
  /// half precision.
  void
  run_own(AnalysisLevelJob<A>& work, int64_t i, Range part, const Strip<A>& a) {
    const auto& v = s_.level(work.l);
    const bool half = is_half(call_.storage);
    const bool half_a = is_last(i) && is_half(s_.output_storage);
    const int64_t row = part.first * call_.inner;
    const int64_t d_start = start(v.coefficients) + row;
    const int64_t a_start = start(s_.output_rows) + row;
    A* lo = lo_chunk_;
    int64_t lo_stride = channels_;
    if (!is_last(i)) {
      lo = a.at(part.first);
    } else if (!half_a) {
      lo = static_cast<A*>(s_.output) + a_start;
      lo_stride = call_.inner;
    }
    A* hi = nullptr;
    if (v.detail) {
      hi = half ? hi_chunk_ : static_cast<A*>(v.detail) + d_start;
    }
    work.fir.stream_lo = s_.streams && is_last(i) && !half_a;
    work.fir.stream_hi = s_.streams && !half;
    work.run(part, lo, lo_stride, hi, half ? channels_ : call_.inner);
    const auto round =
        [&](Storage storage, const A* from, void* to, int64_t at) {
          store_rows(
              storage,
              from,
              channels_,
              to,
              at,
              call_.inner,
              part.size(),
              channels_);
        };
    if (hi && half) {
      round(call_.storage, hi_chunk_, v.detail, d_start);
    }
    if (half_a) {
      round(s_.output_storage, lo_chunk_, s_.output, a_start);
    }
  }

  const AnalysisStage<A>& s_;
  const Analysis<A>& call_;
  int64_t tile_, c0_, batch_, channels_, chunk_rows_ = 0;
  Span read_; // of the stage's input
  std::vector<Span> made_; // of every level's approximation
  const A** table_ = nullptr;
  A *zeros_ = nullptr, *extended_ = nullptr, *phases_ = nullptr;
  A *lo_chunk_ = nullptr, *hi_chunk_ = nullptr;
  TapRow<A>* tap_rows_ = nullptr;
};

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
        [&](int64_t job) { AnalysisJob<A>(s, job).run(); });
    held = std::move(next);
    input = held.get();
    storage = inner_storage;
    first = s.last;
  }
}

template void analyse(const Analysis<float>&);
template void analyse(const Analysis<double>&);

} // namespace signalllm::ops::cpu
