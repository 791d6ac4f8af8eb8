#include "attention/attention_heads.h"
#include "bank/transform.h"

#include "ops/attention_heads.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <cmath>
#include <numbers>

namespace signalllm::cuda {
namespace {

using at::Tensor;

/// Which power of two every address and stride of a tensor is a multiple of,
/// in elements: a bit below that is set where it is not.
int64_t multiple(const Tensor& x) {
  auto bits = static_cast<int64_t>(
      reinterpret_cast<uintptr_t>(x.const_data_ptr()) /
      static_cast<uintptr_t>(x.element_size()));
  for (const auto stride : x.strides().slice(0, x.dim() - 1)) {
    bits |= stride;
  }
  return bits;
}

/// The tensor, or a copy, with channels side by side.
Tensor rows(const Tensor& x) {
  return x.stride(-1) == 1 ? x : x.clone(at::MemoryFormat::Contiguous);
}

HeadsOf heads_of(const Tensor& x) {
  return {
      const_cast<void*>(x.const_data_ptr()),
      x.stride(0),
      x.stride(1),
      x.stride(2)};
}

/// The parameters of tensors `[B, H, T, d]`; none where the kernels do not
/// take them: then it is plain ATen.
std::optional<AttentionHeadsParams> prepare(
    at::IntArrayRef sizes,
    at::ScalarType type,
    int64_t multiples,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  constexpr int64_t most = int64_t{1} << 30;
  AttentionHeadsParams p;
  const auto width = sizes[3];
  const auto kind = dtype_of(type);
  p.vector = heads_vector(width, multiples, kind);
  if (!has_heads(width, p.vector) || sizes[0] * sizes[2] >= most ||
      sizes[1] >= (1 << 16)) {
    return std::nullopt;
  }
  p.batch = sizes[0];
  p.heads = static_cast<int>(sizes[1]);
  p.length = static_cast<int>(sizes[2]);
  p.width = static_cast<int>(width);
  p.offset = offset;
  p.turned = base.has_value();
  p.normed = epsilon.has_value();
  p.epsilon = static_cast<float>(epsilon.value_or(0));
  for (int64_t i = 0; i < kHeadsPairs; ++i) {
    p.turns[i] = 0;
    if (base && i < width / 2) {
      const long double angle = std::pow(
          static_cast<long double>(*base),
          -2.0L * static_cast<long double>(i) /
              static_cast<long double>(width));
      p.turns[i] = static_cast<uint64_t>(
          std::ldexp(angle / (2 * std::numbers::pi_v<long double>), 64));
    }
  }
  return p;
}

/// What the kernels take without a look at sizes: not float64, not empty.
bool usual(const Tensor& x) {
  return x.scalar_type() != at::kDouble && x.numel() > 0;
}

ops::ThreeHeads attention_heads(
    const Tensor& input,
    int64_t heads,
    std::optional<double> base,
    int64_t offset,
    std::optional<double> epsilon) {
  ops::check_attention_heads(
      "attention_heads", input, heads, base, offset, epsilon);
  if (!usual(input)) {
    return ops::composite::attention_heads(input, heads, base, offset, epsilon);
  }
  const c10::cuda::CUDAGuard guard(input.device());
  const auto x = rows(input);
  const auto type = x.scalar_type();
  const auto width = x.size(2) / (3 * heads);
  auto p = prepare(
      {x.size(0), heads, x.size(1), width},
      type,
      multiple(x),
      base,
      offset,
      epsilon);
  if (!p) {
    return ops::composite::attention_heads(input, heads, base, offset, epsilon);
  }
  p->input = x.const_data_ptr();
  p->input_batch = x.stride(0);
  p->input_row = x.stride(1);
  std::array<Tensor, 3> out;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = at::empty({x.size(0), x.size(1), heads, width}, x.options())
                 .transpose(1, 2);
    p->parts[i] = heads_of(out[i]);
  }
  C10_CUDA_CHECK(launch(*p, dtype_of(type), current_stream()));
  return {out[0], out[1], out[2]};
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
  const auto composed = [&] {
    return ops::composite::attention_heads_backward(
        grad_query, grad_key, grad_value, input, base, offset, epsilon);
  };
  const auto sizes = grad_query.sizes();
  const auto type = grad_query.scalar_type();
  if (!usual(grad_query) ||
      (epsilon &&
       (input->scalar_type() != type ||
        input->device() != grad_query.device() ||
        input->sizes() !=
            at::IntArrayRef{sizes[0], sizes[2], 3 * sizes[1] * sizes[3]}))) {
    return composed();
  }
  const c10::cuda::CUDAGuard guard(grad_query.device());
  const std::array<Tensor, 3> grads{
      rows(grad_query), rows(grad_key), rows(grad_value)};
  auto multiples = multiple(grads[0]) | multiple(grads[1]) | multiple(grads[2]);
  Tensor x;
  if (epsilon) {
    x = rows(*input);
    multiples |= multiple(x);
  }
  auto p = prepare(sizes, type, multiples, base, offset, epsilon);
  if (!p) {
    return composed();
  }
  if (epsilon) {
    p->input = x.const_data_ptr();
    p->input_batch = x.stride(0);
    p->input_row = x.stride(1);
  }
  auto out = at::empty(
      {sizes[0], sizes[2], 3 * sizes[1] * sizes[3]}, grad_query.options());
  p->grad = out.mutable_data_ptr();
  for (size_t i = 0; i < grads.size(); ++i) {
    p->parts[i] = heads_of(grads[i]);
  }
  C10_CUDA_CHECK(launch(*p, dtype_of(type), current_stream()));
  return out;
}

} // namespace

TORCH_LIBRARY_IMPL(signalllm, CUDA, m) {
  m.impl("attention_heads", &attention_heads);
  m.impl("attention_heads_backward", &attention_heads_backward);
}

} // namespace signalllm::cuda
