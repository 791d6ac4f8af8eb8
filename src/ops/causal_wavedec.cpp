#include <signalllm/ops/causal_wavedec.h>

#include "ops/causal_bank.h"
#include "ops/causal_wavedec.h"
#include "ops/checks.h"
#include "ops/find_operator.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(causal_wavedec)>("signalllm::causal_wavedec");
  return op.call(input, lo, level, dim);
}

at::Tensor detail::causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavedec_backward_input)>(
          "signalllm::causal_wavedec_backward_input");
  return op.call(grads, lo, dim);
}

at::Tensor detail::causal_wavedec_backward_filter(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavedec_backward_filter)>(
          "signalllm::causal_wavedec_backward_filter");
  return op.call(grads, input, lo, dim);
}

std::tuple<at::Tensor, at::Tensor> detail::causal_wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  static const auto op =
      find_operator<decltype(detail::causal_wavedec_backward)>(
          "signalllm::causal_wavedec_backward");
  return op.call(grads, input, lo, dim);
}

Signal check_causal_wavedec(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s = check_signal(op, input, dim);
  check_filter(op, "lo", lo, input, s);
  check_level_from(op, level, 0);
  return s;
}

Signal check_causal_grads(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  TORCH_CHECK(!grads.empty(), op, ": the list of gradients is empty");
  check_alike(op, "grads", grads);
  const auto levels = static_cast<int64_t>(grads.size()) - 1;
  const auto s = check_causal_wavedec(op, grads[0], lo, levels, dim);
  check_all_like_first(op, "grads", grads);
  return s;
}

Signal check_causal_wavedec_backward(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s = check_causal_grads(op, grads, lo, dim);
  check_like(op, "input", input, s.sizes, "grads[0]", grads[0]);
  return s;
}

namespace composite {

std::vector<at::Tensor> causal_wavedec(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  const auto s = check_causal_wavedec("causal_wavedec", input, lo, level, dim);
  if (level == 0) {
    return {input.clone()};
  }
  const auto type = accumulate_type(input.scalar_type());
  const auto f = expand_filter(lo, s, type);
  const auto finish = [&](const at::Tensor& c) {
    return c.to(input.scalar_type()).reshape(s.sizes);
  };
  auto a = canonical(input, s).to(type);
  std::vector<at::Tensor> out(level + 1);
  for (int64_t j = 0; j < level; ++j) {
    const auto next = bank::causal_filter(a, f, int64_t{1} << j);
    out[level - j] = finish(a - next);
    a = next;
  }
  out[0] = finish(a);
  return out;
}

at::Tensor causal_wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& lo,
    int64_t dim) {
  const auto s =
      check_causal_grads("causal_wavedec_backward_input", grads, lo, dim);
  const auto level = static_cast<int64_t>(grads.size()) - 1;
  if (level == 0) {
    return grads[0].clone();
  }
  const auto type = accumulate_type(grads[0].scalar_type());
  const auto f = expand_filter(lo, s, type);
  auto g = canonical(grads[0], s).to(type);
  for (int64_t j = level - 1; j >= 0; --j) {
    const auto d = canonical(grads[level - j], s).to(type);
    g = d + bank::causal_filter_transpose(g - d, f, int64_t{1} << j);
  }
  return g.to(grads[0].scalar_type()).reshape(s.sizes);
}

at::Tensor causal_wavedec_backward_filter(
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
  const auto type = accumulate_type(input.scalar_type());
  const auto f = expand_filter(lo, s, type);
  std::vector<at::Tensor> a{canonical(input, s).to(type)};
  for (int64_t j = 0; j + 1 < level; ++j) {
    a.push_back(bank::causal_filter(a.back(), f, int64_t{1} << j));
  }
  at::Tensor gradient;
  auto g = canonical(grads[0], s).to(type);
  for (int64_t j = level - 1; j >= 0; --j) {
    const auto d = canonical(grads[level - j], s).to(type);
    const auto into = g - d;
    const auto term = bank::causal_filter_gradient(
        into, a[j], lo.size(-1), int64_t{1} << j, lo.dim() == 1);
    gradient = gradient.defined() ? gradient + term : term;
    if (j > 0) {
      g = d + bank::causal_filter_transpose(into, f, int64_t{1} << j);
    }
  }
  return reduce_filter(gradient, lo, s);
}

} // namespace composite

namespace {

std::vector<at::Tensor> causal_wavedec_meta(
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t level,
    int64_t dim) {
  check_symbolic("causal_wavedec", input, dim, {{"lo", lo}});
  check_level_from("causal_wavedec", level, 0);
  std::vector<at::Tensor> out;
  for (int64_t j = 0; j <= level; ++j) {
    out.push_back(at::empty_symint(input.sym_sizes(), input.options()));
  }
  return out;
}

at::Tensor
backward_input_meta(at::TensorList grads, const at::Tensor&, int64_t) {
  return at::empty_symint(grads[0].sym_sizes(), grads[0].options());
}

/// Every device's own kernels, one after the other.
std::tuple<at::Tensor, at::Tensor> backward_of_two(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& lo,
    int64_t dim) {
  return {
      detail::causal_wavedec_backward_input(grads, lo, dim),
      detail::causal_wavedec_backward_filter(grads, input, lo, dim)};
}

at::Tensor backward_filter_meta(
    at::TensorList,
    const at::Tensor&,
    const at::Tensor& lo,
    int64_t) {
  return at::empty_like(lo);
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "causal_wavedec(Tensor input, Tensor lo, int level, int dim=-2) "
      "-> Tensor[]",
      tags);
  m.def(
      "causal_wavedec_backward_input(Tensor[] grads, Tensor lo, int dim) "
      "-> Tensor",
      tags);
  m.def(
      "causal_wavedec_backward_filter(Tensor[] grads, Tensor input, "
      "Tensor lo, int dim) -> Tensor",
      tags);
  m.def(
      "causal_wavedec_backward(Tensor[] grads, Tensor input, Tensor lo, "
      "int dim) -> (Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("causal_wavedec", &composite::causal_wavedec);
  m.impl(
      "causal_wavedec_backward_input",
      &composite::causal_wavedec_backward_input);
  m.impl(
      "causal_wavedec_backward_filter",
      &composite::causal_wavedec_backward_filter);
  m.impl("causal_wavedec_backward", &backward_of_two);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("causal_wavedec", &causal_wavedec_meta);
  m.impl("causal_wavedec_backward_input", &backward_input_meta);
  m.impl("causal_wavedec_backward_filter", &backward_filter_meta);
}

} // namespace signalllm::ops
