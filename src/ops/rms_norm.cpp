#include <signalllm/ops/rms_norm.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/rms_norm.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor rms_norm(const at::Tensor& input, double epsilon) {
  static const auto op =
      find_operator<decltype(rms_norm)>("signalllm::rms_norm");
  return op.call(input, epsilon);
}

at::Tensor detail::rms_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon) {
  static const auto op = find_operator<decltype(detail::rms_norm_backward)>(
      "signalllm::rms_norm_backward");
  return op.call(grad, input, epsilon);
}

void check_rms_norm(
    std::string_view op,
    const at::Tensor& input,
    double epsilon) {
  check_dense(op, "input", input);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() >= 1 &&
          input.sym_size(-1) >= 1,
      op,
      ": input must be a floating point tensor [..., C] with C >= 1, got ",
      input.scalar_type(),
      " ",
      input.sym_sizes());
  TORCH_CHECK(
      epsilon >= 0, op, ": epsilon is ", epsilon, "; it must not be negative");
}

namespace composite {

at::Tensor rms_norm(const at::Tensor& input, double epsilon) {
  check_rms_norm("rms_norm", input, epsilon);
  const auto x = input.to(accumulate_type(input.scalar_type()));
  const auto power = x.square().mean(-1, /*keepdim=*/true);
  return (x * (power + epsilon).rsqrt()).to(input.scalar_type());
}

at::Tensor rms_norm_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    double epsilon) {
  check_rms_norm("rms_norm_backward", input, epsilon);
  const auto type = accumulate_type(input.scalar_type());
  const auto x = input.to(type), g = grad.to(type);
  const auto r = (x.square().mean(-1, /*keepdim=*/true) + epsilon).rsqrt();
  const auto y = x * r;
  return (r * (g - y * (g * y).mean(-1, /*keepdim=*/true)))
      .to(input.scalar_type());
}

} // namespace composite

namespace {

at::Tensor rms_norm_meta(const at::Tensor& input, double epsilon) {
  check_rms_norm("rms_norm", input, epsilon);
  return at::empty_symint(input.sym_sizes(), input.options());
}

at::Tensor backward_meta(const at::Tensor&, const at::Tensor& input, double) {
  return at::empty_symint(input.sym_sizes(), input.options());
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("rms_norm(Tensor input, float epsilon) -> Tensor", tags);
  m.def(
      "rms_norm_backward(Tensor grad, Tensor input, float epsilon) -> Tensor",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("rms_norm", &composite::rms_norm);
  m.impl("rms_norm_backward", &composite::rms_norm_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("rms_norm", &rms_norm_meta);
  m.impl("rms_norm_backward", &backward_meta);
}

} // namespace signalllm::ops
