#include "ops/cpu/causal.h"

#include "ops/cpu/causal_rows.h"
#include "ops/cpu/sums.h"

#include <utility>

// A job is (batch entry, block of channels); all its approximations are kept
// while the gradient comes back through the levels. Jobs of one part run one
// after the other and add to the same sums.

namespace signalllm::ops::cpu {
namespace {

/// body(job, scratch, part) for all jobs, by parts.
template <class A, class F>
void run_parts(
    const Causal<A>& call,
    int64_t block,
    int64_t parts,
    int64_t fields,
    F&& body) {
  const int64_t jobs = call.batch * ((call.inner + block - 1) / block);
  run_jobs(parts, jobs / parts * call.length * block, [&](int64_t part) {
    for (int64_t i = jobs * part / parts; i < jobs * (part + 1) / parts; ++i) {
      const CausalJob<A> job(call, block, i);
      Scratch scratch(
          fields * Scratch::bytes_for(call.length * job.channels(), sizeof(A)));
      body(job, scratch, part);
    }
  });
}

template <class A>
int64_t block_for(const Causal<A>& call, int64_t fields) {
  return channel_block(
      call.inner, call.length, (int64_t{1} << 20) / sizeof(A) / fields);
}

} // namespace

template <class A>
std::vector<double> causal_analyse_gradient(
    const Causal<A>& call,
    const void* input,
    const std::vector<const void*>& grads) {
  if (call.batch == 0 || call.inner == 0) {
    return std::vector<double>(
        call.taps * (call.per_channel ? call.inner : 1), 0.0);
  }
  const int64_t fields = call.levels + 5;
  const int64_t block = block_for(call, fields);
  const int64_t parts = sum_parts(
      call.batch * ((call.inner + block - 1) / block), call.per_channel);
  // The kernel makes two sums; the second is not wanted here.
  PartialSums<A> sums(parts, 2 * call.taps, call.inner, call.per_channel);
  const A minus = -1;
  run_parts(
      call,
      block,
      parts,
      fields,
      [&](const CausalJob<A>& job, Scratch& scratch, int64_t part) {
        std::vector<Field<A>> a{job.load(input, job.field(scratch))};
        for (int64_t j = 0; j + 1 < call.levels; ++j) {
          a.push_back(job.field(scratch));
          job.filter(call.lo, nullptr, j, false, a[j], a[j + 1]);
        }
        const auto d_copy = job.field(scratch);
        const auto into = job.field(scratch);
        Field<A> now = job.field(scratch), next = job.field(scratch);
        auto g = job.load(grads[0], now);
        A* to = sums.part(part);
        for (int64_t j = call.levels - 1; j >= 0; --j) {
          const auto d = job.load(grads[call.levels - j], d_copy);
          job.scale(&minus, false, d, &g, into);
          job.gradient(
              call.taps,
              j,
              a[j],
              into,
              into,
              to,
              to + call.taps * sums.width(),
              sums.stride());
          if (j > 0) {
            job.filter(call.lo, nullptr, j, true, into, next, nullptr, &d);
            g = next;
            std::swap(now, next);
          }
        }
      });
  auto total = sums.total();
  total.resize(total.size() / 2);
  return total;
}

template <class A>
CausalGradients causal_filter_gradient(
    const Causal<A>& call,
    const void* input,
    const void* grad) {
  const int64_t weights = call.levels + 2;
  CausalGradients out;
  const int64_t width = call.per_channel ? call.inner : 1;
  out.lo.assign(call.taps * width, 0.0);
  out.hi = out.lo;
  out.weight.assign(weights * (call.weight_per_channel ? call.inner : 1), 0.0);
  if (call.batch == 0 || call.inner == 0) {
    return out;
  }
  const int64_t fields = call.levels + 7;
  const int64_t block = block_for(call, fields);
  const int64_t parts = sum_parts(
      call.batch * ((call.inner + block - 1) / block),
      call.per_channel || call.weight_per_channel);
  PartialSums<A> taps(parts, 2 * call.taps, call.inner, call.per_channel);
  // One sum more, for the one that the kernel makes and nobody wants.
  PartialSums<A> read(parts, weights + 1, call.inner, call.weight_per_channel);
  run_parts(
      call,
      block,
      parts,
      fields,
      [&](const CausalJob<A>& job, Scratch& scratch, int64_t part) {
        const auto gy = job.load(grad, job.field(scratch));
        const auto high = job.field(scratch);
        const auto weighed = job.field(scratch);
        Field<A> g = job.field(scratch), next = job.field(scratch);
        const auto read_out = [&](int64_t j, Field<A> band) {
          A* to = read.part(part);
          job.gradient(
              1,
              0,
              band,
              gy,
              gy,
              to + j * read.width(),
              to + weights * read.width(),
              read.stride());
        };
        std::vector<Field<A>> a{job.load(input, job.field(scratch))};
        read_out(0, a[0]);
        for (int64_t j = 0; j < call.levels; ++j) {
          a.push_back(job.field(scratch));
          job.filter(call.lo, call.hi, j, false, a[j], a[j + 1], &high);
          read_out(j + 1, high);
        }
        read_out(call.levels + 1, a[call.levels]);
        job.weigh(call.levels + 1, gy, nullptr, g);
        for (int64_t j = call.levels - 1; j >= 0; --j) {
          job.weigh(j + 1, gy, nullptr, weighed);
          A* to = taps.part(part);
          job.gradient(
              call.taps,
              j,
              a[j],
              g,
              weighed,
              to,
              to + call.taps * taps.width(),
              taps.stride());
          if (j > 0) {
            job.filter(call.hi, nullptr, j, true, weighed, high);
            job.filter(call.lo, nullptr, j, true, g, next, nullptr, &high);
            std::swap(g, next);
          }
        }
      });
  const auto both = taps.total();
  const auto half = static_cast<int64_t>(both.size()) / 2;
  out.lo.assign(both.begin(), both.begin() + half);
  out.hi.assign(both.begin() + half, both.end());
  const auto weight = read.total();
  std::copy_n(weight.begin(), out.weight.size(), out.weight.begin());
  return out;
}

template std::vector<double> causal_analyse_gradient(
    const Causal<float>&,
    const void*,
    const std::vector<const void*>&);
template std::vector<double> causal_analyse_gradient(
    const Causal<double>&,
    const void*,
    const std::vector<const void*>&);
template CausalGradients
causal_filter_gradient(const Causal<float>&, const void*, const void*);
template CausalGradients
causal_filter_gradient(const Causal<double>&, const void*, const void*);

} // namespace signalllm::ops::cpu
