#include "ops/cpu/stationary.h"

#include "ops/cpu/stationary_walk.h"

namespace signalllm::ops::cpu {
namespace {

/// Rows that half precision is rounded from at once.
template <class A>
int64_t chunk_rows(const StationaryPlan<A>& plan) {
  return plan.narrow.width > 0 ? plan.narrow.rows : 64;
}

template <class A>
void analyse_tile(
    const StationaryJob<A>& job,
    const void* input,
    const std::vector<void*>& outputs) {
  const auto& plan = job.plan;
  const auto& call = job.call;
  const auto r = ranges_down(job);
  const bool half = job.half();
  const Range chunk{0, half ? chunk_rows(plan) : 0};
  Scratch scratch(
      taps_bytes(call) + 2 * field_bytes(job, r[1]) +
      (half ? field_bytes(job, r[0]) : 0) + 2 * field_bytes(job, chunk));
  auto* taps = scratch.take<TapRow<A>>(2 * call.taps);
  Band<A> now = job.field(scratch, r[1]), next = job.field(scratch, r[1]);
  const auto lo_chunk = job.field(scratch, chunk);
  const auto hi_chunk = job.field(scratch, chunk);
  const int64_t back = call.taps / 2 - 1;
  auto a = job.load(input, r[0], scratch);
  for (int64_t l = 0; l < call.levels; ++l) {
    const bool last = l + 1 == call.levels;
    void* const detail = outputs[call.levels - l];
    next.rows = r[l + 1];
    const auto filter = [&](Range out, Band<A> lo, Band<A> hi) {
      job.filter(
          out,
          l,
          back,
          {&a},
          plan.lo.data(),
          hi.data ? plan.hi.data() : nullptr,
          taps,
          lo,
          hi);
    };
    for (const Range halo :
         {Range{r[l + 1].first, job.own.first},
          Range{job.own.last, r[l + 1].last}}) {
      if (halo.size() > 0) {
        filter(halo, {next.at(halo.first), next.stride}, {});
      }
    }
    const int64_t step = half ? chunk.size() : job.own.size();
    for (int64_t o = job.own.first; o < job.own.last; o += step) {
      const Range part{o, std::min(o + step, job.own.last)};
      const Band<A> hi =
          half ? hi_chunk : Band<A>{job.place(detail, o), call.inner};
      Band<A> lo = lo_chunk;
      if (!last) {
        lo = {next.at(o), next.stride};
      } else if (!half) {
        lo = {job.place(outputs[0], o), call.inner};
      }
      filter(part, lo, hi);
      if (half) {
        job.store(hi.data, part, detail);
        if (last) {
          job.store(lo.data, part, outputs[0]);
        }
      }
    }
    a = next;
    std::swap(now, next);
  }
}

template <class A>
void synthesise_tile(
    const StationaryJob<A>& job,
    const std::vector<const void*>& coeffs,
    void* output) {
  const auto& call = job.call;
  const auto r = ranges_up(job, 0);
  Scratch scratch(taps_bytes(call) + up_bytes(job, r[call.levels]));
  auto* taps = scratch.take<TapRow<A>>(2 * call.taps);
  Band<A> out{nullptr, call.inner};
  if (!job.half()) {
    out.data = job.place(output, job.own.first);
  }
  const auto y = go_up(
      job,
      r,
      0,
      coeffs,
      taps,
      scratch,
      job.half() ? nullptr : &out,
      [](int64_t, const Band<A>&, const Band<A>&) {});
  if (job.half()) {
    job.store(y.at(job.own.first), job.own, output);
  }
}

} // namespace

template <class A>
void stationary_analyse(
    const Stationary<A>& call,
    const void* input,
    const std::vector<void*>& outputs) {
  if (is_empty(call)) {
    return;
  }
  const StationaryPlan<A> plan(
      call, is_half(call.storage) ? 4 : 3, available_threads());
  run_jobs(plan.jobs(), job_cost(plan), [&](int64_t i) {
    analyse_tile(StationaryJob<A>(plan, i), input, outputs);
  });
}

template <class A>
void stationary_synthesise(
    const Stationary<A>& call,
    const std::vector<const void*>& coeffs,
    void* output) {
  if (is_empty(call)) {
    return;
  }
  const StationaryPlan<A> plan(
      call, is_half(call.storage) ? 5 : 3, available_threads());
  run_jobs(plan.jobs(), job_cost(plan), [&](int64_t i) {
    synthesise_tile(StationaryJob<A>(plan, i), coeffs, output);
  });
}

#define SIGNALLLM_STATIONARY(A)                                      \
  template void stationary_analyse(                                  \
      const Stationary<A>&, const void*, const std::vector<void*>&); \
  template void stationary_synthesise(                               \
      const Stationary<A>&, const std::vector<const void*>&, void*);
SIGNALLLM_STATIONARY(float)
SIGNALLLM_STATIONARY(double)
#undef SIGNALLLM_STATIONARY

} // namespace signalllm::ops::cpu
