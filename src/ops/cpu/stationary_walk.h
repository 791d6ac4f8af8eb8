#pragma once

#include "ops/cpu/stationary_rows.h"

#include <utility>
#include <vector>

// Which rows of which level a tile of the undecimated bank needs, and the way
// up through the levels.

namespace signalllm::ops::cpu {

template <class A>
bool is_empty(const Stationary<A>& call) {
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

} // namespace signalllm::ops::cpu
