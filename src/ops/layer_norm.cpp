#include <signalllm/ops/layer_norm.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/layer_norm.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor layer_norm(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  static const auto op =
      find_operator<decltype(layer_norm)>("signalllm::layer_norm");
  return op.call(input, weight, bias, epsilon, dtype);
}

SumAndNorm add_layer_norm(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  static const auto op =
      find_operator<decltype(add_layer_norm)>("signalllm::add_layer_norm");
  return op.call(input, branch, weight, bias, epsilon, dtype);
}

AddNormGradients detail::add_layer_norm_backward(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon) {
  static const auto op =
      find_operator<decltype(detail::add_layer_norm_backward)>(
          "signalllm::add_layer_norm_backward");
  return op.call(grad_sum, grad, sum, weight, epsilon);
}

NormGradients detail::layer_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& weight,
    double epsilon) {
  static const auto op = find_operator<decltype(detail::layer_norm_backward)>(
      "signalllm::layer_norm_backward");
  return op.call(grad, input, weight, epsilon);
}

void check_layer_norm(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  check_dense(op, "input", input);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() >= 1 &&
          input.sym_size(-1) >= 1,
      op,
      ": input must be a floating point tensor [..., C] with C >= 1, got ",
      input.scalar_type(),
      " ",
      input.sym_sizes());
  const auto check = [&](std::string_view name, const at::Tensor& t) {
    check_dense(op, name, t);
    TORCH_CHECK(
        at::isFloatingType(t.scalar_type()) && t.dim() == 1 &&
            t.sym_size(0) == input.sym_size(-1) && t.device() == input.device(),
        op,
        ": ",
        name,
        " must be a floating point tensor [C] with the ",
        input.sym_size(-1),
        " channels of input on ",
        input.device(),
        ", got ",
        t.scalar_type(),
        " ",
        t.sym_sizes(),
        " on ",
        t.device());
  };
  check("weight", weight);
  check("bias", bias);
  TORCH_CHECK(
      epsilon >= 0, op, ": epsilon is ", epsilon, "; it must not be negative");
  TORCH_CHECK(
      !dtype || at::isFloatingType(*dtype),
      op,
      ": dtype is ",
      dtype.value_or(at::kFloat),
      "; it must be floating point");
}

void check_branch(const at::Tensor& input, const at::Tensor& branch) {
  check_dense("add_layer_norm", "branch", branch);
  TORCH_CHECK(
      at::isFloatingType(branch.scalar_type()) &&
          branch.sym_sizes() == input.sym_sizes() &&
          branch.device() == input.device(),
      "add_layer_norm: branch must be a floating point tensor ",
      input.sym_sizes(),
      " as input on ",
      input.device(),
      ", got ",
      branch.scalar_type(),
      " ",
      branch.sym_sizes(),
      " on ",
      branch.device());
}

namespace composite {
namespace {

struct Normal {
  at::Tensor y, r;

  Normal(const at::Tensor& x, double epsilon) {
    const auto away = x - x.mean(-1, /*keepdim=*/true);
    r = (away.square().mean(-1, /*keepdim=*/true) + epsilon).rsqrt();
    y = away * r;
  }
};

} // namespace

at::Tensor layer_norm(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  check_layer_norm("layer_norm", input, weight, bias, epsilon, dtype);
  const auto type = accumulate_type(input.scalar_type());
  const Normal normal(input.to(type), epsilon);
  return own(
      normal.y * weight.to(type) + bias.to(type),
      dtype.value_or(input.scalar_type()));
}

NormGradients layer_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& weight,
    double epsilon) {
  check_layer_norm("layer_norm_backward", input, weight, weight, epsilon, {});
  const auto type = accumulate_type(input.scalar_type());
  const Normal normal(input.to(type), epsilon);
  const auto g = grad.to(type), h = g * weight.to(type);
  const auto mean = [](const at::Tensor& x) {
    return x.mean(-1, /*keepdim=*/true);
  };
  const auto over_rows = [&](const at::Tensor& x) {
    return x.reshape_symint({-1, input.sym_size(-1)})
        .sum(0)
        .to(weight.scalar_type());
  };
  return {
      (normal.r * (h - mean(h) - normal.y * mean(h * normal.y)))
          .to(input.scalar_type())
          .contiguous(),
      over_rows(g * normal.y),
      over_rows(g)};
}

SumAndNorm add_layer_norm(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  check_layer_norm("add_layer_norm", input, weight, bias, epsilon, dtype);
  check_branch(input, branch);
  const auto type = accumulate_type(input.scalar_type());
  const auto sum =
      (input.to(type) + branch.to(type)).to(input.scalar_type()).contiguous();
  return {sum, layer_norm(sum, weight, bias, epsilon, dtype)};
}

AddNormGradients add_layer_norm_backward(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon) {
  const auto type = accumulate_type(sum.scalar_type());
  const auto [x, w, b] =
      layer_norm_backward(grad.to(type), sum.to(type), weight, epsilon);
  const auto both = x + grad_sum.to(type);
  return {own(both, sum.scalar_type()), own(both, grad.scalar_type()), w, b};
}

} // namespace composite

namespace {

at::Tensor layer_norm_meta(
    const at::Tensor& input,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  check_layer_norm("layer_norm", input, weight, bias, epsilon, dtype);
  return at::empty_symint(
      input.sym_sizes(),
      input.options().dtype(dtype.value_or(input.scalar_type())));
}

SumAndNorm add_meta(
    const at::Tensor& input,
    const at::Tensor& branch,
    const at::Tensor& weight,
    const at::Tensor& bias,
    double epsilon,
    std::optional<at::ScalarType> dtype) {
  check_branch(input, branch);
  return {
      at::empty_symint(input.sym_sizes(), input.options()),
      layer_norm_meta(input, weight, bias, epsilon, dtype)};
}

NormGradients backward_meta(
    const at::Tensor&,
    const at::Tensor& input,
    const at::Tensor& weight,
    double) {
  const auto make = [](const at::Tensor& t) {
    return at::empty_symint(t.sym_sizes(), t.options());
  };
  return {make(input), make(weight), make(weight)};
}

AddNormGradients add_backward_meta(
    const at::Tensor& grad_sum,
    const at::Tensor& grad,
    const at::Tensor& sum,
    const at::Tensor& weight,
    double epsilon) {
  auto [x, w, b] = backward_meta(grad, sum, weight, epsilon);
  return {x, at::empty_symint(sum.sym_sizes(), grad.options()), w, b};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "layer_norm(Tensor input, Tensor weight, Tensor bias, float epsilon, "
      "ScalarType? dtype=None) -> Tensor",
      tags);
  m.def(
      "layer_norm_backward(Tensor grad, Tensor input, Tensor weight, "
      "float epsilon) -> (Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "add_layer_norm(Tensor input, Tensor branch, Tensor weight, "
      "Tensor bias, float epsilon, ScalarType? dtype=None) -> "
      "(Tensor, Tensor)",
      tags);
  m.def(
      "add_layer_norm_backward(Tensor grad_sum, Tensor grad, Tensor sum, "
      "Tensor weight, float epsilon) -> (Tensor, Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("layer_norm", &composite::layer_norm);
  m.impl("layer_norm_backward", &composite::layer_norm_backward);
  m.impl("add_layer_norm", &composite::add_layer_norm);
  m.impl("add_layer_norm_backward", &composite::add_layer_norm_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("layer_norm", &layer_norm_meta);
  m.impl("layer_norm_backward", &backward_meta);
  m.impl("add_layer_norm", &add_meta);
  m.impl("add_layer_norm_backward", &add_backward_meta);
}

} // namespace signalllm::ops
