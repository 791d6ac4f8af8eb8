#include <signalllm/ops/squared_relu.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/signal.h"
#include "ops/squared_relu.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor squared_relu(const at::Tensor& input) {
  static const auto op =
      find_operator<decltype(squared_relu)>("signalllm::squared_relu");
  return op.call(input);
}

at::Tensor detail::squared_relu_backward(
    const at::Tensor& grad,
    const at::Tensor& input) {
  static const auto op = find_operator<decltype(detail::squared_relu_backward)>(
      "signalllm::squared_relu_backward");
  return op.call(grad, input);
}

void check_squared_relu(std::string_view op, const at::Tensor& input) {
  check_dense(op, "input", input);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()),
      op,
      ": input must be a floating point tensor, got ",
      input.scalar_type());
}

namespace composite {

at::Tensor squared_relu(const at::Tensor& input) {
  check_squared_relu("squared_relu", input);
  const auto y = at::relu(input);
  return y * y;
}

at::Tensor squared_relu_backward(
    const at::Tensor& grad,
    const at::Tensor& input) {
  check_squared_relu("squared_relu_backward", input);
  return 2 * at::relu(input) * grad;
}

} // namespace composite

namespace {

at::Tensor squared_relu_meta(const at::Tensor& input) {
  check_squared_relu("squared_relu", input);
  return at::empty_symint(input.sym_sizes(), input.options());
}

at::Tensor backward_meta(const at::Tensor&, const at::Tensor& input) {
  return at::empty_symint(input.sym_sizes(), input.options());
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("squared_relu(Tensor input) -> Tensor", tags);
  m.def("squared_relu_backward(Tensor grad, Tensor input) -> Tensor", tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("squared_relu", &composite::squared_relu);
  m.impl("squared_relu_backward", &composite::squared_relu_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("squared_relu", &squared_relu_meta);
  m.impl("squared_relu_backward", &backward_meta);
}

} // namespace signalllm::ops
