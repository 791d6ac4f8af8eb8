// One launch forward and one for the input's gradient; two for the filter's,
// or for both: the groups' shares, and their sum. What does not fit a tile
// (more than twelve levels, a reach of thousands of positions in a signal as
// long) runs the composite path, several launches a level.
#include "ops/causal_wavedec.h"
#include "ops/mps/causal_tile.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::mps {
namespace {

using at::Tensor;

/// [a, d_J, ..., d_1] as the kernels have it: d_1, ..., d_J, the last repeated
/// where there are fewer than twelve, and a.
std::vector<Tensor> by_level(const std::vector<Tensor>& bands) {
  std::vector<Tensor> out(bands.rbegin(), bands.rend() - 1);
  out.resize(12, bands[1]);
  out.push_back(bands[0]);
  return out;
}

std::vector<Tensor> by_level(at::TensorList bands) {
  std::vector<Tensor> all;
  for (const auto& band : bands) {
    all.push_back(band.contiguous());
  }
  return by_level(all);
}

std::vector<Tensor> causal_wavedec(
    const Tensor& input,
    const Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s =
      ops::check_causal_wavedec("causal_wavedec", input, lo, level, dim);
  const auto plan = level > 0 ? plan_causal(s, lo, level, 2) : std::nullopt;
  const auto k = plan
      ? kernel("causal_wavedec", input.scalar_type(), lo.scalar_type())
      : nullptr;
  if (!k) {
    return ops::composite::causal_wavedec(input, lo, level, dim);
  }
  std::vector<Tensor> out(level + 1);
  for (auto& band : out) {
    band = at::empty(s.sizes, input.options());
  }
  launch(
      k,
      plan->grid,
      by_level(out),
      input.contiguous(),
      lo.contiguous(),
      plan->tile);
  return out;
}

Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const Tensor& lo,
    int64_t dim) {
  const auto s =
      ops::check_causal_grads("causal_wavedec_backward_input", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  const auto plan = level > 0 ? plan_causal(s, lo, level, 2) : std::nullopt;
  const auto k = plan
      ? kernel(
            "causal_wavedec_backward", grads[0].scalar_type(), lo.scalar_type())
      : nullptr;
  if (!k) {
    return ops::composite::causal_wavedec_backward_input(grads, lo, dim);
  }
  const auto out = at::empty(s.sizes, grads[0].options());
  launch(k, plan->grid, out, by_level(grads), lo.contiguous(), plan->tile);
  return out;
}

/// Both gradients; nothing where no kernel takes them.
std::optional<std::tuple<Tensor, Tensor>> both_gradients(
    const char* op,
    at::TensorList grads,
    const Tensor& input,
    const Tensor& lo,
    int64_t dim) {
  const auto s = ops::check_causal_wavedec_backward(op, grads, input, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  const auto plan =
      level > 0 ? plan_causal(s, lo, level, level + 2) : std::nullopt;
  const auto k = plan
      ? kernel("causal_wavedec_filter", input.scalar_type(), lo.scalar_type())
      : nullptr;
  const auto sum = k ? kernel("causal_wavedec_sum", lo.scalar_type()) : nullptr;
  if (!sum) {
    return std::nullopt;
  }
  const auto dx = at::empty(s.sizes, input.options());
  const auto shares = at::empty(
      {plan->shares, lo.size(-1), s.inner}, lo.options().dtype(at::kFloat));
  const auto out = at::empty(lo.sizes(), lo.options());
  launch(
      k,
      plan->grid,
      dx,
      shares,
      by_level(grads),
      input.contiguous(),
      lo.contiguous(),
      plan->tile,
      plan->slices);
  Grid outputs;
  outputs.x = plan->tile.taps;
  outputs.y = plan->tile.filter_rows;
  launch(sum, outputs, out, shares, plan->tile, plan->shares);
  return std::tuple(dx, out);
}

Tensor causal_wavedec_backward_filter(
    at::TensorList grads,
    const Tensor& input,
    const Tensor& lo,
    int64_t dim) {
  const auto both =
      both_gradients("causal_wavedec_backward_filter", grads, input, lo, dim);
  return both
      ? std::get<1>(*both)
      : ops::composite::causal_wavedec_backward_filter(grads, input, lo, dim);
}

std::tuple<Tensor, Tensor> causal_wavedec_backward(
    at::TensorList grads,
    const Tensor& input,
    const Tensor& lo,
    int64_t dim) {
  const auto both =
      both_gradients("causal_wavedec_backward", grads, input, lo, dim);
  return both ? *both
              : std::tuple(
                    causal_wavedec_backward_input(grads, lo, dim),
                    ops::composite::causal_wavedec_backward_filter(
                        grads, input, lo, dim));
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("causal_wavedec", &causal_wavedec);
  m.impl("causal_wavedec_backward_input", &causal_wavedec_backward_input);
  m.impl("causal_wavedec_backward_filter", &causal_wavedec_backward_filter);
  m.impl("causal_wavedec_backward", &causal_wavedec_backward);
}

} // namespace signalllm::mps
