#include "ops/long_product.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace signalllm::ops {
namespace {

constexpr int64_t piece = 127 * 256; // below long_inner

at::Tensor in_pieces(const at::Tensor& a, const at::Tensor& b) {
  const auto inner = a.size(1);
  if (inner < long_inner) {
    return at::mm(a, b);
  }
  const auto wide = at::toOpMathType(a.scalar_type());
  at::Tensor sum;
  for (int64_t first = 0; first < inner; first += piece) {
    const auto count = std::min(piece, inner - first);
    const auto part =
        at::mm(a.narrow(1, first, count), b.narrow(0, first, count)).to(wide);
    sum = sum.defined() ? sum.add_(part) : part;
  }
  return sum.to(a.scalar_type());
}

struct LongProduct : torch::autograd::Function<LongProduct> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context,
      const at::Tensor& a,
      const at::Tensor& b) {
    context->save_for_backward({a, b});
    return in_pieces(a, b);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& g = gradients[0];
    return {
        context->needs_input_grad(0) ? product(g, saved[1].t()) : at::Tensor(),
        context->needs_input_grad(1) ? product(saved[0].t(), g) : at::Tensor()};
  }
};

/// What autocast would make of an operand of `at::linear`.
at::Tensor autocast(const at::Tensor& x) {
  const auto device = x.device().type();
  return at::autocast::is_autocast_enabled(device) &&
          x.scalar_type() == at::kFloat
      ? x.to(at::autocast::get_autocast_dtype(device))
      : x;
}

} // namespace

bool is_long(const at::Tensor& like, std::initializer_list<int64_t> sizes) {
  return like.is_mps() && std::max(sizes) >= long_inner;
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  return is_long(a, {a.size(0), a.size(1), b.size(1)})
      ? LongProduct::apply(a, b)
      : at::mm(a, b);
}

at::Tensor linear(
    const at::Tensor& input,
    const at::Tensor& weight,
    const std::optional<at::Tensor>& bias) {
  const auto rows = input.numel() / std::max<int64_t>(1, input.size(-1));
  if (!is_long(input, {rows, weight.size(0), weight.size(1)})) {
    return at::linear(input, weight, bias);
  }
  auto sizes = input.sizes().vec();
  sizes.back() = weight.size(0);
  const auto y =
      product(
          autocast(input).reshape({-1, input.size(-1)}), autocast(weight).t())
          .view(sizes);
  return bias && bias->defined() ? y + autocast(*bias) : y;
}

} // namespace signalllm::ops
