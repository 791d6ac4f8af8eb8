#include "causal_run.h"
#include "ops/cuda/bank/correlate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace signalllm::cuda {

CausalGradients CausalRun::gradients(
    const at::Tensor& input,
    at::Tensor& out,
    const std::vector<at::Tensor>& states) const {
  CausalStreamParams p;
  p.gradient = true;
  const int streamed = plan(input, out, p), before = total() - streamed;
  const int taps = filters.filters.taps;
  const auto zeros = [&](int64_t columns) {
    return at::zeros({signal.inner, columns}, filters.lo.options());
  };
  CausalGradients sums{zeros(taps), {}, {}};
  if (is_filter(kind)) {
    sums.hi = zeros(taps);
    sums.weight = zeros(total() + 2);
  }
  Flow flow{input, {}, out, nullptr};
  for (int i = 0; i < before; ++i) {
    add_step(i, flow.input, states[i], sums);
    if (i + 1 < total() || out.defined()) {
      step(i, flow);
    }
  }
  if (streamed == 0) {
    return sums;
  }
  for (int i = 0; i < streamed; ++i) {
    p.states[i] = states[before + i].mutable_data_ptr();
  }
  const int unrolled = (taps + 1) / 2 * 2;
  auto shares = at::empty(
      {int64_t{p.batch} * p.segments,
       is_filter(kind) ? 2 * unrolled + streamed + 2 : unrolled,
       p.channels},
      filters.lo.options());
  p.shares = shares.mutable_data_ptr<float>();
  stream(p, before, flow);
  const auto all = shares.sum(0).t(); // a column for each row of `shares`
  sums.lo += all.narrow(1, 0, taps);
  if (is_filter(kind)) {
    const int rest = 2 * unrolled;
    sums.hi += all.narrow(1, unrolled, taps);
    // The steps' weights are in the order of the levels, the last step's first.
    sums.weight.narrow(1, 1, streamed) += all.narrow(1, rest, streamed).flip(1);
    sums.weight.select(1, 0) += all.select(1, rest + streamed);
    sums.weight.select(1, total() + 1) += all.select(1, rest + streamed + 1);
  }
  return sums;
}

void CausalRun::add_step(
    int i,
    const at::Tensor& input,
    const at::Tensor& state,
    CausalGradients& to) const {
  const auto sum = filters.lo.scalar_type();
  const auto view = [&](const at::Tensor& t) {
    return t.view({signal.batch, signal.length, signal.inner}).to(sum);
  };
  const auto per_channel = [&](const at::Tensor& f) {
    return f.dim() == 2 && f.size(0) == 1 ? f
                                          : ops::expand_filter(f, signal, sum);
  };
  const auto weights = is_filter(kind) ? per_channel(weight) : at::Tensor();
  const auto into = !is_filter(kind) ? view(input) - view(details[i])
      : i == 0 ? view(input) * weights.select(1, total() + 1)
               : input;
  const auto part = correlate(
      into,
      source,
      state,
      type,
      filters.filters.taps,
      signal,
      {Border::zero, 1, 0, dilations[i], signal.length, signal.length});
  to.lo += part[0];
  if (is_filter(kind)) {
    const int at = weight_index(i);
    to.hi += part[1] * weights.select(1, at).unsqueeze(1);
    to.weight.select(1, at) += (part[1] * per_channel(filters.hi)).sum(1);
    if (i == 0) {
      to.weight.select(1, total() + 1) +=
          (part[1] * per_channel(filters.lo)).sum(1);
    }
    if (i + 1 == total()) {
      to.weight.select(1, 0) += part[1].select(1, 0);
    }
  }
}

} // namespace signalllm::cuda
