#include "causal/causal_run.h"

#include "ops/causal_wavedec.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

namespace signalllm::cuda {
namespace {

std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s =
      ops::check_causal_wavedec("causal_wavedec", input, lo, level, dim);
  if (level == 0 || !takes_causal(s)) {
    return ops::composite::causal_wavedec(input, lo, level, dim);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  std::vector<at::Tensor> out(level + 1);
  for (auto& t : out) {
    t = at::empty(s.sizes, input.options());
  }
  const FilterPair f(lo, lo, ops::accumulate_type(input.scalar_type()), false);
  const CausalRun run{
      CausalKind::analysis,
      s,
      f,
      input.scalar_type(),
      causal_dilations(level, false),
      {out.rbegin(), out.rend() - 1}};
  run(input.contiguous(), out[0]);
  return out;
}

at::Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s =
      ops::check_causal_grads("causal_wavedec_backward_input", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0 || !takes_causal(s)) {
    return ops::composite::causal_wavedec_backward_input(grads, lo, dim);
  }
  const c10::cuda::CUDAGuard guard(grads[0].device());
  auto out = at::empty(s.sizes, grads[0].options());
  const FilterPair f(lo, lo, ops::accumulate_type(out.scalar_type()), false);
  const CausalRun run{
      CausalKind::analysis_transposed,
      s,
      f,
      out.scalar_type(),
      causal_dilations(level, true),
      contiguous(grads.slice(1))};
  run(grads[0].contiguous(), out);
  return out;
}

std::tuple<at::Tensor, at::Tensor> wavedec_gradients(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    const ops::Signal& s,
    bool want_input) {
  const c10::cuda::CUDAGuard guard(input.device());
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  const auto type = input.scalar_type();
  const auto sum = ops::accumulate_type(type);
  const FilterPair f(lo, lo, sum, false);
  auto a = causal_states(input.contiguous(), s, f, level);
  const auto top = grads[0].contiguous();
  const auto d = contiguous(grads.slice(1));
  at::Tensor out;
  if (want_input) {
    out = at::empty(s.sizes, grads[0].options());
  }
  const CausalRun run{
      CausalKind::analysis_transposed,
      s,
      f,
      type,
      causal_dilations(level, true),
      d};
  const auto sums = run.gradients(top, out, {a.rbegin(), a.rend()});
  return {out, ops::reduce_filter(sums.lo, lo, s)};
}

at::Tensor causal_wavedec_backward_filter(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s = ops::check_causal_wavedec_backward(
      "causal_wavedec_backward_filter", grads, input, lo, dim);
  if (grads.size() == 1 || !takes_causal(s)) {
    return ops::composite::causal_wavedec_backward_filter(
        grads, input, lo, dim);
  }
  return std::get<1>(wavedec_gradients(grads, input, lo, s, false));
}

std::tuple<at::Tensor, at::Tensor> causal_wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s = ops::check_causal_wavedec_backward(
      "causal_wavedec_backward", grads, input, lo, dim);
  if (grads.size() == 1 || !takes_causal(s)) {
    return {
        ops::composite::causal_wavedec_backward_input(grads, lo, dim),
        ops::composite::causal_wavedec_backward_filter(grads, input, lo, dim)};
  }
  return wavedec_gradients(grads, input, lo, s, true);
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("causal_wavedec", &causal_wavedec);
  m.impl("causal_wavedec_backward_input", &causal_wavedec_backward_input);
  m.impl("causal_wavedec_backward_filter", &causal_wavedec_backward_filter);
  m.impl("causal_wavedec_backward", &causal_wavedec_backward);
}

} // namespace signalllm::cuda
