#include "ops/cpu/stationary.h"

#include "ops/cpu/stationary_walk.h"
#include "ops/cpu/sums.h"

// A job keeps what it reads of u_1 .. u_{n-1} in scratch, then comes up with
// v_l and adds the products of the rows that it owns. Jobs of one part run one
// after the other and add to the same sums.

namespace signalllm::ops::cpu {
namespace {

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
FilterSums stationary_gradient(
    const Stationary<A>& call,
    const void* input,
    const std::vector<const void*>& grads) {
  FilterSums out;
  out.lo.assign(call.taps * (call.per_channel ? call.inner : 1), 0.0);
  out.hi = out.lo;
  if (is_empty(call)) {
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

template FilterSums stationary_gradient(
    const Stationary<float>&,
    const void*,
    const std::vector<const void*>&);
template FilterSums stationary_gradient(
    const Stationary<double>&,
    const void*,
    const std::vector<const void*>&);

} // namespace signalllm::ops::cpu
