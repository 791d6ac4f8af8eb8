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

/// Rows that are computed before they are rounded or put apart.
template <class A>
int64_t copied_rows(const AnalysisStage<A>& s) {
  return s.narrow.width > 0 ? s.narrow.rows : 64;
}

/// One job: what it makes, and its scratch.
template <class A>
class AnalysisJob {
 public:
  AnalysisJob(const AnalysisStage<A>& stage, int64_t job)
      : s_(stage), call_(stage.call),
        cut_(call_, stage.block, stage.tiles(), job), channels_(cut_.channels),
        own_(stage.tiles() == 1 ? TileRows{} : stage.rows_of(cut_.tile)),
        made_(stage.tiles() == 1 ? stage.whole.made : own_.made),
        read_(stage.tiles() == 1 ? stage.whole.read : own_.read) {}

  void run() {
    if (made_[0].size() == 0) {
      return;
    }
    const auto input = cut_.place(s_.input_storage, s_.level(s_.first).present);
    const bool in_place = input.in_place();
    const bool direct = cut_.place(call_.storage, 0).in_place();
    chunk_rows_ = direct ? 0 : copied_rows(s_);
    const int64_t line =
        cut_.entries > 1 ? std::max(read_.size(), chunk_rows_) : 0;
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
        bytes(in_place ? 0 : read_.size()) + bytes(line));
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
    line_ = rows(line);
    auto x = load_strip<A>(
        input,
        s_.input,
        read_,
        in_place ? nullptr : rows(read_.size()),
        channels_,
        line_);
    reads_memory_ = s_.streams && in_place;
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
  AnalysisLevelJob<A> level_job(int64_t i, const Strip<const A>& x) const {
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
        reads_memory_ && i == 0 ? 4 : 0};
    work.fir.taps = call_.taps;
    work.fir.taps_stride = call_.per_channel ? call_.width() : 0;
    work.fir.taps_lo = call_.lo + (call_.per_channel ? cut_.c0 : 0);
    work.fir.taps_hi = call_.hi + (call_.per_channel ? cut_.c0 : 0);
    work.fir.lattice = call_.lattice.stages > 0 ? &call_.lattice : nullptr;
    return work;
  }

  void run_level(int64_t i, const Strip<const A>& x, const Strip<A>& a) {
    auto work = level_job(i, x);
    const Range own = s_.owned(s_.first + i, cut_.tile);
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

  /// Rows that the job owns: to the tensors, or through a chunk.
  void
  run_own(AnalysisLevelJob<A>& work, int64_t i, Range part, const Strip<A>& a) {
    const auto& v = s_.level(work.l);
    const auto d_place = cut_.place(call_.storage, v.coefficients);
    const auto a_place = cut_.place(s_.output_storage, s_.output_rows);
    const auto at = [&](void* tensor, const Place& place) {
      return static_cast<A*>(tensor) + place.start + part.first * place.stride;
    };
    const bool copied = !d_place.in_place();
    const bool copied_a = is_last(i) && !a_place.in_place();
    A* lo = lo_chunk_;
    int64_t lo_stride = channels_;
    if (!is_last(i)) {
      lo = a.at(part.first);
    } else if (!copied_a) {
      lo = at(s_.output, a_place);
      lo_stride = a_place.stride;
    }
    A* hi = nullptr;
    if (v.detail) {
      hi = copied ? hi_chunk_ : at(v.detail, d_place);
    }
    work.fir.stream_lo = s_.streams && is_last(i) && !copied_a;
    work.fir.stream_hi = s_.streams && !copied;
    work.run(part, lo, lo_stride, hi, copied ? channels_ : d_place.stride);
    if (hi && copied) {
      store_rows(d_place, hi_chunk_, v.detail, part, channels_, line_);
    }
    if (copied_a) {
      store_rows(a_place, lo_chunk_, s_.output, part, channels_, line_);
    }
  }

  const AnalysisStage<A>& s_;
  const Analysis<A>& call_;
  Cut cut_;
  const int64_t channels_;
  int64_t chunk_rows_ = 0;
  bool reads_memory_ = false;
  TileRows own_; // where there are several tiles
  const std::vector<Span>& made_; // of every level's approximation
  const Span read_; // of the stage's input
  const A** table_ = nullptr;
  A *zeros_ = nullptr, *extended_ = nullptr, *phases_ = nullptr;
  A *lo_chunk_ = nullptr, *hi_chunk_ = nullptr, *line_ = nullptr;
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
  bool aligned = call.entries == 1 &&
      call.inner * bytes_of(call.storage) % 64 == 0 &&
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
    s.streams = (aligned || s.narrow.width > 0) && bytes >= kStreamBytes;
    run_jobs(
        count_jobs(call, s.block, s.tiles()),
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
