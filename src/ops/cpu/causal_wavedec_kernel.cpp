#include "ops/causal_wavedec.h"

#include "ops/cpu/causal.h"
#include "ops/cpu/tensors.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {
namespace {

using namespace cpu;

template <class A>
Causal<A> causal_call(
    const Signal& s,
    const Layout& layout,
    Storage storage,
    const std::vector<A>& filter,
    const at::Tensor& lo,
    int64_t levels) {
  Causal<A> call;
  call.storage = storage;
  call.batch = layout.batch;
  call.length = s.length;
  call.inner = layout.inner;
  call.levels = levels;
  call.lo = filter.data();
  call.taps = lo.size(-1);
  call.per_channel = lo.dim() == 2;
  return call;
}

std::vector<at::Tensor> causal_wavedec_cpu(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s = check_causal_wavedec("causal_wavedec", input, lo, level, dim);
  if (level == 0) {
    return {input.clone()};
  }
  const Layout layout(s);
  const auto x = layout.in(input, s);
  CoefficientsOut out(level + 1, layout, s, input.options());
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto f = read_filter<A>(lo, layout, false);
    causal_analyse(
        causal_call<A>(s, layout, storage_of(input), f, lo, level),
        x.const_data_ptr(),
        out.at);
  });
  return out.finish();
}

at::Tensor causal_wavedec_backward_input_cpu(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s =
      check_causal_grads("causal_wavedec_backward_input", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0) {
    return grads[0].clone();
  }
  const Layout layout(s);
  const CoefficientsIn g(grads, layout, s);
  const auto out = at::empty(s.sizes, grads[0].options());
  const auto made = layout.out(out, s.length);
  with_sum_type(storage_of(out), [&](auto zero) {
    using A = decltype(zero);
    const auto f = read_filter<A>(lo, layout, false);
    causal_analyse_transpose(
        causal_call<A>(s, layout, storage_of(out), f, lo, level),
        g.at,
        made.mutable_data_ptr());
  });
  layout.finish(made, out, s);
  return out;
}

at::Tensor causal_wavedec_backward_filter_cpu(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s = check_causal_wavedec_backward(
      "causal_wavedec_backward_filter", grads, input, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0) {
    return at::zeros_like(lo);
  }
  const Layout layout(s);
  const CoefficientsIn g(grads, layout, s);
  const auto x = layout.in(input, s);
  std::vector<double> sums;
  with_sum_type(storage_of(input), [&](auto zero) {
    using A = decltype(zero);
    const auto f = read_filter<A>(lo, layout, false);
    sums = causal_analyse_gradient(
        causal_call<A>(s, layout, storage_of(input), f, lo, level),
        x.const_data_ptr(),
        g.at);
  });
  return filter_gradient_like(lo, layout, sums);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CPU, m) {
  m.impl("causal_wavedec", &causal_wavedec_cpu);
  m.impl("causal_wavedec_backward_input", &causal_wavedec_backward_input_cpu);
  m.impl("causal_wavedec_backward_filter", &causal_wavedec_backward_filter_cpu);
}

} // namespace signalllm::ops
