#include "ops/cpu/causal.h"

#include "ops/cpu/causal_rows.h"

#include <utility>

namespace signalllm::ops::cpu {
namespace {

bool nothing(int64_t batch, int64_t inner) {
  return batch == 0 || inner == 0;
}

} // namespace

template <class A>
void causal_analyse(
    const Causal<A>& call,
    const void* input,
    const std::vector<void*>& outputs) {
  if (nothing(call.batch, call.inner)) {
    return;
  }
  const A minus = -1;
  run_causal(call, 4, [&](const CausalJob<A>& job, Scratch& scratch) {
    const auto copy = job.field(scratch);
    Field<A> now = job.field(scratch), next = job.field(scratch);
    const auto detail = job.field(scratch);
    auto a = job.load(input, copy);
    for (int64_t j = 0; j < call.levels; ++j) {
      const bool last = j + 1 == call.levels;
      const auto to = last ? job.target(outputs[0], next) : next;
      job.filter(call.lo, nullptr, j, false, a, to);
      const auto d = job.target(outputs[call.levels - j], detail);
      job.scale(&minus, false, to, &a, d);
      job.finish(outputs[call.levels - j], d);
      a = to;
      std::swap(now, next);
    }
    job.finish(outputs[0], a);
  });
}

template <class A>
void causal_analyse_transpose(
    const Causal<A>& call,
    const std::vector<const void*>& grads,
    void* output) {
  if (nothing(call.batch, call.inner)) {
    return;
  }
  const A minus = -1;
  run_causal(call, 4, [&](const CausalJob<A>& job, Scratch& scratch) {
    const auto d_copy = job.field(scratch);
    const auto into = job.field(scratch);
    Field<A> now = job.field(scratch), next = job.field(scratch);
    auto g = job.load(grads[0], now);
    for (int64_t j = call.levels - 1; j >= 0; --j) {
      const auto d = job.load(grads[call.levels - j], d_copy);
      job.scale(&minus, false, d, &g, into);
      const auto to = j == 0 ? job.target(output, next) : next;
      job.filter(call.lo, nullptr, j, true, into, to, nullptr, &d);
      g = to;
      std::swap(now, next);
    }
    job.finish(output, g);
  });
}

template <class A>
void causal_filter(const Causal<A>& call, const void* input, void* output) {
  if (nothing(call.batch, call.inner)) {
    return;
  }
  run_causal(call, 5, [&](const CausalJob<A>& job, Scratch& scratch) {
    const auto copy = job.field(scratch);
    const auto y_copy = job.field(scratch);
    const auto high = job.field(scratch);
    Field<A> now = job.field(scratch), next = job.field(scratch);
    auto a = job.load(input, copy);
    const auto y = job.target(output, y_copy);
    job.weigh(0, a, nullptr, y);
    for (int64_t j = 0; j < call.levels; ++j) {
      job.filter(call.lo, call.hi, j, false, a, next, &high);
      job.weigh(j + 1, high, &y, y);
      a = next;
      std::swap(now, next);
    }
    job.weigh(call.levels + 1, a, &y, y);
    job.finish(output, y);
  });
}

template <class A>
void causal_filter_transpose(
    const Causal<A>& call,
    const void* grad,
    void* output) {
  if (nothing(call.batch, call.inner)) {
    return;
  }
  run_causal(call, 5, [&](const CausalJob<A>& job, Scratch& scratch) {
    const auto copy = job.field(scratch);
    const auto weighed = job.field(scratch);
    const auto high = job.field(scratch);
    Field<A> g = job.field(scratch), next = job.field(scratch);
    const auto gy = job.load(grad, copy);
    job.weigh(call.levels + 1, gy, nullptr, g);
    for (int64_t j = call.levels - 1; j >= 0; --j) {
      job.weigh(j + 1, gy, nullptr, weighed);
      job.filter(call.hi, nullptr, j, true, weighed, high);
      job.filter(call.lo, nullptr, j, true, g, next, nullptr, &high);
      std::swap(g, next);
    }
    const auto out = job.target(output, next);
    job.weigh(0, gy, &g, out);
    job.finish(output, out);
  });
}

#define SIGNALLLM_CAUSAL(A)                                          \
  template void causal_analyse(                                      \
      const Causal<A>&, const void*, const std::vector<void*>&);     \
  template void causal_analyse_transpose(                            \
      const Causal<A>&, const std::vector<const void*>&, void*);     \
  template void causal_filter(const Causal<A>&, const void*, void*); \
  template void causal_filter_transpose(const Causal<A>&, const void*, void*);
SIGNALLLM_CAUSAL(float)
SIGNALLLM_CAUSAL(double)
#undef SIGNALLLM_CAUSAL

} // namespace signalllm::ops::cpu
