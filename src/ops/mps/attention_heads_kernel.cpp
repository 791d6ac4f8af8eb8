// One launch each way, for heads up to 256 wide.
#include "ops/attention_heads.h"
#include "ops/mps/library.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <cmath>
#include <numbers>

namespace signalllm::mps {
namespace {

using at::Tensor;

/// As in attention_heads.metal.
struct AttentionHeads {
  int32_t rows, length, heads, width, offset, turned, normed;
  float epsilon;
};

/// What a position turns each pair of channels by, in 2^-64 turns.
using Turns = std::array<uint64_t, 128>;

Turns turns_of(std::optional<double> base, int64_t width) {
  Turns turns{};
  for (int64_t i = 0; base && i < width / 2; ++i) {
    const long double angle = std::pow(
        static_cast<long double>(*base),
        -2.0L * static_cast<long double>(i) / static_cast<long double>(width));
    turns[static_cast<size_t>(i)] = static_cast<uint64_t>(
        std::ldexp(angle / (2 * std::numbers::pi_v<long double>), 64));
  }
  return turns;
}

struct Call {
  Kernel kernel;
  Grid grid;
  AttentionHeads p{};
  Turns turns{};
};

/// Of tensors `[B, H, T, d]`.
Call prepare(
    const char* name,
    at::ScalarType type,
    at::IntArrayRef sizes,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  constexpr int64_t most = int64_t{1} << 28;
  Call call;
  const auto width = sizes[3];
  const auto values = c10::multiply_integers(sizes);
  if (values == 0 || values >= most || offset >= most ||
      width / 2 > static_cast<int64_t>(call.turns.size())) {
    return call;
  }
  call.kernel = kernel(name, type);
  if (!call.kernel) {
    return call;
  }
  call.p = {
      static_cast<int32_t>(3 * values / width),
      static_cast<int32_t>(sizes[2]),
      static_cast<int32_t>(sizes[1]),
      static_cast<int32_t>(width),
      static_cast<int32_t>(offset),
      base.has_value(),
      epsilon.has_value(),
      static_cast<float>(epsilon.value_or(0))};
  call.turns = turns_of(base, width);
  // A SIMD group a row, of as many threads as a kernel gets.
  call.grid.threads =
      std::min<uint64_t>(256, call.kernel->getMaxThreadsPerThreadgroup());
  const auto each = call.grid.threads / 32;
  call.grid.x = (call.p.rows + each - 1) / each;
  return call;
}

ops::ThreeHeads attention_heads(
    const Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  ops::check_attention_heads(
      "attention_heads", input, heads, base, offset, epsilon);
  const auto width = input.size(2) / (3 * heads);
  const auto call = prepare(
      "attention_heads",
      input.scalar_type(),
      {input.size(0), heads, input.size(1), width},
      base,
      offset,
      epsilon);
  if (!call.kernel) {
    return ops::composite::attention_heads(input, heads, base, offset, epsilon);
  }
  const auto make = [&] {
    return at::empty(
        {input.size(0), input.size(1), heads, width}, input.options());
  };
  const auto q = make(), k = make(), v = make();
  launch(
      call.kernel, call.grid, q, k, v, input.contiguous(), call.turns, call.p);
  return {q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)};
}

Tensor attention_heads_backward(
    const Tensor& grad_query,
    const Tensor& grad_key,
    const Tensor& grad_value,
    const std::optional<Tensor>& input,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  ops::check_attention_heads_backward(
      grad_query, grad_key, grad_value, input, base, offset, epsilon);
  const auto sizes = grad_query.sizes();
  const auto type = grad_query.scalar_type();
  const bool usual =
      !epsilon || (input->scalar_type() == type && input->is_mps());
  const auto call = usual
      ? prepare("attention_heads_backward", type, sizes, base, offset, epsilon)
      : Call();
  if (!call.kernel) {
    return ops::composite::attention_heads_backward(
        grad_query, grad_key, grad_value, input, base, offset, epsilon);
  }
  const auto beside = [](const Tensor& g) {
    return g.transpose(1, 2).contiguous();
  };
  const auto q = beside(grad_query);
  auto dx = at::empty(
      {sizes[0], sizes[2], 3 * sizes[1] * sizes[3]}, grad_query.options());
  launch(
      call.kernel,
      call.grid,
      dx,
      q,
      beside(grad_key),
      beside(grad_value),
      epsilon ? input->contiguous() : q,
      call.turns,
      call.p);
  return dx;
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, MPS, m) {
  m.impl("attention_heads", &attention_heads);
  m.impl("attention_heads_backward", &attention_heads_backward);
}

} // namespace signalllm::mps
