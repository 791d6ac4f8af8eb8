#include <signalllm/ops/attention_heads.h>

#include "ops/attention_heads.h"
#include "ops/find_operator.h"
#include "ops/rms_norm.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <cmath>

namespace signalllm::ops {

ThreeHeads attention_heads(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  static const auto op = find_operator<decltype(composite::attention_heads)>(
      "signalllm::attention_heads");
  return op.call(input, heads, base, offset, epsilon);
}

at::Tensor detail::attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  static const auto op =
      find_operator<decltype(detail::attention_heads_backward)>(
          "signalllm::attention_heads_backward");
  return op.call(
      grad_query, grad_key, grad_value, input, base, offset, epsilon);
}

at::Tensor rotary_angles(
    int64_t offset,
    int64_t length,
    int64_t dim,
    double base,
    const at::TensorOptions& like) {
  auto wide = like.device().is_mps() ? at::kFloat : at::kDouble;
  auto position = at::arange(offset, offset + length, like.dtype(wide));
  auto pair = at::arange(0, dim, 2, like.dtype(wide));
  auto frequency = (pair * (-std::log(base) / static_cast<double>(dim))).exp();
  return position.unsqueeze(1) * frequency;
}

namespace {

void check_numbers(
    std::string_view op,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  TORCH_CHECK(
      !base || *base > 1,
      op,
      ": base is ",
      base.value_or(0),
      "; it must be above 1");
  TORCH_CHECK(
      offset >= 0, op, ": offset is ", offset, "; it must not be negative");
  TORCH_CHECK(
      !epsilon || *epsilon >= 0,
      op,
      ": epsilon is ",
      epsilon.value_or(0),
      "; it must not be negative");
}

} // namespace

void check_attention_heads(
    std::string_view op,
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  TORCH_CHECK(heads >= 1, op, ": heads is ", heads, "; it must be at least 1");
  const int64_t unit = heads * (base ? 6 : 3);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() == 3 &&
          input.sym_size(2) >= unit && input.sym_size(2) % unit == 0,
      op,
      ": input must be a floating point tensor [B, T, C] with C a multiple of ",
      unit,
      ", got ",
      input.scalar_type(),
      " ",
      input.sym_sizes());
  check_numbers(op, base, offset, epsilon);
}

void check_attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  constexpr std::string_view op = "attention_heads_backward";
  const auto like = [&](const at::Tensor& g) {
    return g.sym_sizes() == grad_query.sym_sizes() &&
        g.scalar_type() == grad_query.scalar_type() &&
        g.device() == grad_query.device();
  };
  TORCH_CHECK(
      at::isFloatingType(grad_query.scalar_type()) && grad_query.dim() == 4 &&
          like(grad_key) && like(grad_value),
      op,
      ": gradients must be alike, floating point tensors [B, H, T, d], got ",
      grad_query.sym_sizes(),
      ", ",
      grad_key.sym_sizes(),
      " and ",
      grad_value.sym_sizes());
  check_numbers(op, base, offset, epsilon);
  TORCH_CHECK(
      !epsilon || input.has_value(),
      op,
      ": with an epsilon it needs the input");
}

namespace composite {
namespace {

/// Queries and keys `[B, T, 2, H, d]`, turned one way or the other.
at::Tensor
turned(const at::Tensor& x, double base, int64_t offset, bool forward) {
  const auto type = x.scalar_type();
  const auto angles =
      rotary_angles(
          offset, x.size(1), x.size(-1), base, x.options().requires_grad(false))
          .unsqueeze(1)
          .unsqueeze(1);
  const auto cosine = angles.cos().to(type);
  const auto sine = (forward ? angles : -angles).sin().to(type);
  const auto halves = x.chunk(2, -1);
  return at::cat(
      {halves[0] * cosine - halves[1] * sine,
       halves[0] * sine + halves[1] * cosine},
      -1);
}

} // namespace

ThreeHeads attention_heads(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  check_attention_heads("attention_heads", input, heads, base, offset, epsilon);
  const auto type = input.scalar_type();
  const auto parts =
      input.unflatten(2, {3, heads, input.size(2) / (3 * heads)});
  auto pair = parts.slice(2, 0, 2).to(accumulate_type(type));
  if (epsilon) {
    pair = rms_norm(pair, *epsilon);
  }
  if (base) {
    pair = turned(pair, *base, offset, /*forward=*/true);
  }
  pair = pair.to(type);
  // Each in memory of its own: what an operator may return.
  const auto own_heads = [](const at::Tensor& x) {
    return x.clone(at::MemoryFormat::Contiguous).transpose(1, 2);
  };
  return {
      own_heads(pair.select(2, 0)),
      own_heads(pair.select(2, 1)),
      own_heads(parts.select(2, 2))};
}

at::Tensor attention_heads_backward(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  check_attention_heads_backward(
      grad_query, grad_key, grad_value, input, base, offset, epsilon);
  const auto type = grad_query.scalar_type();
  const auto wide = accumulate_type(type);
  auto pair =
      at::stack({grad_query.transpose(1, 2), grad_key.transpose(1, 2)}, 2)
          .to(wide);
  if (base) {
    pair = turned(pair, *base, offset, /*forward=*/false);
  }
  if (epsilon) {
    const auto parts = input->unflatten(2, {3, pair.size(3), pair.size(4)});
    pair = rms_norm_backward(pair, parts.slice(2, 0, 2).to(wide), *epsilon);
  }
  return at::cat({pair.to(type), grad_value.transpose(1, 2).unsqueeze(2)}, 2)
      .flatten(2);
}

} // namespace composite

namespace {

ThreeHeads attention_heads_meta(
    const at::Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  check_attention_heads("attention_heads", input, heads, base, offset, epsilon);
  const auto make = [&] {
    return at::empty_symint(
               {input.sym_size(0),
                input.sym_size(1),
                heads,
                input.sym_size(2) / (3 * heads)},
               input.options())
        .transpose(1, 2);
  };
  return {make(), make(), make()};
}

at::Tensor backward_meta(
    const at::Tensor& grad_query,
    const at::Tensor& grad_key,
    const at::Tensor& grad_value,
    const std::optional<at::Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  check_attention_heads_backward(
      grad_query, grad_key, grad_value, input, base, offset, epsilon);
  const auto sizes = grad_query.sym_sizes();
  return at::empty_symint(
      {sizes[0], sizes[2], 3 * sizes[1] * sizes[3]}, grad_query.options());
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "attention_heads(Tensor input, int heads, float? base=None, "
      "int offset=0, float? epsilon=None) -> (Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "attention_heads_backward(Tensor grad_query, Tensor grad_key, "
      "Tensor grad_value, Tensor? input, float? base, int offset, "
      "float? epsilon) -> Tensor",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("attention_heads", &composite::attention_heads);
  m.impl("attention_heads_backward", &composite::attention_heads_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("attention_heads", &attention_heads_meta);
  m.impl("attention_heads_backward", &backward_meta);
}

} // namespace signalllm::ops
