#include "ops/cpu/stationary.h"

#include "ops/cpu/stationary_rows.h"
#include "ops/cpu/sums.h"

#include <utility>

namespace signalllm::ops::cpu {
namespace {

template <class A>
bool nothing(const Stationary<A>& call) {
  return call.batch == 0 || call.inner == 0 || call.levels == 0;
}

template <class A>
int64_t job_cost(const StationaryPlan<A>& plan) {
  return plan.tile * plan.block * plan.call.levels;
}

/// Rows of every level of the way down that a tile reads: [0] of the signal,
/// [levels] what it owns.
template <class A>
std::vector<Range> ranges_down(const StationaryJob<A>& job) {
  const auto& call = job.call;
  std::vector<Range> r(call.levels + 1, job.own);
  for (int64_t l = call.levels - 1; l >= 0; --l) {
    r[l] = job.read(r[l + 1], l, call.taps / 2 - 1);
  }
  return r;
}

/// Rows that the way up to level `to`'s own rows reads.
template <class A>
std::vector<Range> ranges_up(const StationaryJob<A>& job, int64_t to) {
  const auto& call = job.call;
  std::vector<Range> r(call.levels + 1, job.own);
  for (int64_t l = to; l < call.levels; ++l) {
    r[l + 1] = job.read(r[l], l, call.taps / 2);
  }
  return r;
}

template <class A>
size_t field_bytes(const StationaryJob<A>& job, Range rows) {
  return Scratch::bytes_for(rows.size() * job.channels, sizeof(A));
}

template <class A>
size_t taps_bytes(const Stationary<A>& call) {
  return Scratch::bytes_for(2 * call.taps, sizeof(TapRow<A>));
}

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

/// Levels `levels - 1` to `to`: v_to's own rows into `out`, or into scratch,
/// and visit(l, v_{l+1}, w_{l+1}) for every level l before.
template <class A, class F>
Band<A> go_up(
    const StationaryJob<A>& job,
    const std::vector<Range>& r,
    int64_t to,
    const std::vector<const void*>& coeffs,
    TapRow<A>* taps,
    Scratch& scratch,
    const Band<A>* out,
    F&& visit) {
  const auto& plan = job.plan;
  const auto& call = job.call;
  const Range widest = r[call.levels];
  Band<A> now = job.field(scratch, widest), next = job.field(scratch, widest);
  auto v = job.load(coeffs[0], widest, scratch);
  Band<A> w;
  for (int64_t l = call.levels - 1;; --l) {
    const void* detail = coeffs[call.levels - l];
    if (w.data && job.half()) {
      w.rows = r[l + 1];
      job.fill(detail, w);
    } else {
      w = job.load(detail, r[l + 1], scratch);
    }
    visit(l, v, w);
    if (l < to) {
      return v;
    }
    next.rows = r[l];
    const auto y =
        out && l == to ? Band<A>{out->data, out->stride, r[l], false} : next;
    job.filter(
        r[l], l, call.taps / 2, {&v, &w}, plan.up.data(), nullptr, taps, y, {});
    v = y;
    std::swap(now, next);
    if (l == 0) {
      return v;
    }
  }
}

template <class A>
size_t up_bytes(const StationaryJob<A>& job, Range widest) {
  return (job.half() ? 4 : 2) * field_bytes(job, widest);
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

template <class A>
void gradient_tile(
    const StationaryJob<A>& job,
    const void* input,
    const std::vector<const void*>& grads,
    A* sums,
    int64_t width,
    int64_t sums_stride) {
  const auto& plan = job.plan;
  const auto& call = job.call;
  const auto down = ranges_down(job);
  const auto up = ranges_up(job, 1);
  const int64_t narrow = plan.narrow.width;
  const int64_t own_sums =
      narrow > 0 && call.per_channel ? 2 * call.taps * narrow : 0;
  size_t bytes = taps_bytes(call) + up_bytes(job, up[call.levels]) +
      Scratch::bytes_for(own_sums, sizeof(A));
  for (int64_t l = job.half() ? 0 : 1; l < call.levels; ++l) {
    bytes += field_bytes(job, down[l]);
  }
  Scratch scratch(bytes);
  auto* taps = scratch.take<TapRow<A>>(2 * call.taps);
  A* repeated = scratch.take<A>(own_sums);
  std::fill_n(repeated, own_sums, A(0));
  A* const to = own_sums > 0 ? repeated : sums;
  const int64_t to_width = own_sums > 0 ? narrow : width;
  const int64_t stride = own_sums > 0 ? narrow : sums_stride;
  const int64_t back = call.taps / 2 - 1;
  std::vector<Band<A>> a{job.load(input, down[0], scratch)};
  for (int64_t l = 0; l + 1 < call.levels; ++l) {
    a.push_back(job.field(scratch, down[l + 1]));
    job.filter(
        down[l + 1],
        l,
        back,
        {&a[l]},
        plan.lo.data(),
        nullptr,
        taps,
        a[l + 1],
        {});
  }
  go_up(
      job,
      up,
      1,
      grads,
      taps,
      scratch,
      static_cast<const Band<A>*>(nullptr),
      [&](int64_t l, const Band<A>& v, const Band<A>& w) {
        A* from = to + (stride > 0 && own_sums == 0 ? job.c0 : 0);
        job.gradient(
            l,
            back,
            a[l],
            v,
            w,
            taps,
            from,
            from + call.taps * to_width,
            stride);
      });
  for (int64_t i = 0; i < own_sums; ++i) {
    sums[i / narrow * width + i % narrow % job.channels] += repeated[i];
  }
}

} // namespace

template <class A>
void stationary_analyse(
    const Stationary<A>& call,
    const void* input,
    const std::vector<void*>& outputs) {
  if (nothing(call)) {
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
  if (nothing(call)) {
    return;
  }
  const StationaryPlan<A> plan(
      call, is_half(call.storage) ? 5 : 3, available_threads());
  run_jobs(plan.jobs(), job_cost(plan), [&](int64_t i) {
    synthesise_tile(StationaryJob<A>(plan, i), coeffs, output);
  });
}

template <class A>
FilterSums stationary_gradient(
    const Stationary<A>& call,
    const void* input,
    const std::vector<const void*>& grads) {
  FilterSums out;
  out.lo.assign(call.taps * (call.per_channel ? call.inner : 1), 0.0);
  out.hi = out.lo;
  if (nothing(call)) {
    return out;
  }
  // Not cut for threads: the sums must not depend on their number.
  const StationaryPlan<A> plan(call, call.levels + 4, 1);
  const int64_t jobs = plan.jobs();
  const int64_t parts = sum_parts(jobs, call.per_channel);
  PartialSums<A> sums(parts, 2 * call.taps, call.inner, call.per_channel);
  run_jobs(parts, jobs / parts * job_cost(plan), [&](int64_t part) {
    for (int64_t i = jobs * part / parts; i < jobs * (part + 1) / parts; ++i) {
      gradient_tile(
          StationaryJob<A>(plan, i),
          input,
          grads,
          sums.part(part),
          sums.width(),
          sums.stride());
    }
  });
  const auto total = sums.total();
  const auto half = static_cast<int64_t>(total.size()) / 2;
  out.lo.assign(total.begin(), total.begin() + half);
  out.hi.assign(total.begin() + half, total.end());
  return out;
}

#define SIGNALLLM_STATIONARY(A)                                      \
  template void stationary_analyse(                                  \
      const Stationary<A>&, const void*, const std::vector<void*>&); \
  template void stationary_synthesise(                               \
      const Stationary<A>&, const std::vector<const void*>&, void*); \
  template FilterSums stationary_gradient(                           \
      const Stationary<A>&, const void*, const std::vector<const void*>&);
SIGNALLLM_STATIONARY(float)
SIGNALLLM_STATIONARY(double)
#undef SIGNALLLM_STATIONARY

} // namespace signalllm::ops::cpu
