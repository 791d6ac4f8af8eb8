#include "ops/out_argument.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace signalllm::ops {
namespace {

/// First and last byte that a tensor may touch.
std::pair<const char*, const char*> extent(const at::Tensor& t) {
  const auto* first = static_cast<const char*>(t.const_data_ptr());
  int64_t values = 1;
  for (int64_t i = 0; i < t.dim(); ++i) {
    values += (t.size(i) - 1) * t.stride(i);
  }
  return {first, first + values * t.element_size()};
}

} // namespace

void refuse_gradient(std::string_view op, at::TensorList tensors) {
  const bool wanted = at::GradMode::is_enabled() &&
      std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& t) {
                        return t.requires_grad();
                      });
  TORCH_CHECK(
      !wanted,
      op,
      ": the out= form has no gradient, but an argument requires one; use the "
      "form without out=, or torch.no_grad()");
}

void check_out(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& out,
    at::IntArrayRef sizes,
    const at::Tensor& like) {
  TORCH_CHECK(
      out.sizes() == sizes && out.scalar_type() == like.scalar_type() &&
          out.device() == like.device(),
      op,
      ": ",
      argument,
      " must be ",
      like.scalar_type(),
      " ",
      sizes,
      " on ",
      like.device(),
      ", got ",
      out.scalar_type(),
      " ",
      out.sizes(),
      " on ",
      out.device());
  TORCH_CHECK(
      out.is_contiguous(),
      op,
      ": ",
      argument,
      " must be contiguous, got strides ",
      out.strides());
}

void check_apart(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& out,
    std::string_view other_name,
    const at::Tensor& other) {
  if (out.numel() == 0 || other.numel() == 0) {
    return;
  }
  const auto a = extent(out);
  const auto b = extent(other);
  TORCH_CHECK(
      a.second <= b.first || b.second <= a.first,
      op,
      ": ",
      argument,
      " overlaps ",
      other_name,
      "; give it memory of its own");
}

} // namespace signalllm::ops
