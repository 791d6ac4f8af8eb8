#include <signalllm/ops/causal_filter.h>

#include "ops/causal_bank.h"
#include "ops/causal_filter.h"
#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <vector>

namespace signalllm::ops {

at::Tensor
causal_filter(const at::Tensor& input, const at::Tensor& taps, int64_t parts) {
  static const auto op =
      find_operator<decltype(causal_filter)>("signalllm::causal_filter");
  return op.call(input, taps, parts);
}

std::tuple<at::Tensor, at::Tensor> detail::causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  static const auto op =
      find_operator<decltype(detail::causal_filter_backward)>(
          "signalllm::causal_filter_backward");
  return op.call(grad, input, taps, parts);
}

void check_causal_filter(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  check_dense(op, "input", input);
  check_dense(op, "taps", taps);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() == 3 &&
          input.size(1) >= 1,
      op,
      ": input must be a floating point tensor [N, L, C] with L >= 1, got ",
      input.scalar_type(),
      " ",
      input.sizes());
  TORCH_CHECK(
      taps.dim() == 2 && taps.size(0) == input.size(2) && taps.size(1) >= 1,
      op,
      ": taps must be [C, K] with the input's ",
      input.size(2),
      " channels and K >= 1, got ",
      taps.sizes());
  TORCH_CHECK(
      (taps.scalar_type() == input.scalar_type() ||
       taps.scalar_type() == accumulate_type(input.scalar_type())) &&
          taps.device() == input.device(),
      op,
      ": taps are ",
      taps.scalar_type(),
      " on ",
      taps.device(),
      " beside an input of ",
      input.scalar_type(),
      " on ",
      input.device(),
      "; allowed: the input's dtype, or Float beside half precision, and its "
      "device");
  TORCH_CHECK(
      parts >= 1 && input.size(2) % parts == 0,
      op,
      ": parts is ",
      parts,
      "; it must be at least 1 and divide the ",
      input.size(2),
      " channels");
}

namespace composite {
namespace {

/// `[N, L, C]` as `[P, N, L, C / P]`, contiguous, and back.
at::Tensor divide(const at::Tensor& x, int64_t parts) {
  return parts == 1 ? x
                    : x.unflatten(2, {parts, x.size(2) / parts})
                          .permute({2, 0, 1, 3})
                          .contiguous();
}
at::Tensor join(const at::Tensor& x, int64_t parts) {
  return parts == 1 ? x : x.permute({1, 2, 0, 3}).flatten(2);
}

} // namespace

at::Tensor
causal_filter(const at::Tensor& input, const at::Tensor& taps, int64_t parts) {
  check_causal_filter("causal_filter", input, taps, parts);
  const auto type = accumulate_type(input.scalar_type());
  const auto y = bank::causal_filter(input.to(type), taps.to(type), 1)
                     .to(input.scalar_type());
  return divide(y, parts);
}

std::tuple<at::Tensor, at::Tensor> causal_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t parts) {
  check_causal_filter("causal_filter_backward", input, taps, parts);
  auto sizes = input.sizes().vec();
  if (parts > 1) {
    sizes.back() /= parts;
    sizes.insert(sizes.begin(), parts);
  }
  TORCH_CHECK(
      grad.sizes() == sizes && grad.device() == input.device(),
      "causal_filter_backward: grad must be like the output for input ",
      input.sizes(),
      " in ",
      parts,
      " parts, got ",
      grad.sizes());
  const auto type = accumulate_type(input.scalar_type());
  const auto g = join(grad, parts).to(type);
  return {
      bank::causal_filter_transpose(g, taps.to(type), 1)
          .to(input.scalar_type()),
      bank::causal_filter_gradient(
          g, input.to(type), taps.size(1), 1, /*shared=*/false)
          .to(taps.scalar_type())};
}

} // namespace composite

namespace {

at::Tensor
causal_filter_meta(const at::Tensor& input, const at::Tensor&, int64_t parts) {
  auto sizes = input.sym_sizes().vec();
  if (parts > 1) {
    sizes.back() = sizes.back() / parts;
    sizes.insert(sizes.begin(), parts);
  }
  return at::empty_symint(sizes, input.options());
}

std::tuple<at::Tensor, at::Tensor> backward_meta(
    const at::Tensor&,
    const at::Tensor& input,
    const at::Tensor& taps,
    int64_t) {
  return {
      at::empty_symint(input.sym_sizes(), input.options()),
      at::empty_symint(taps.sym_sizes(), taps.options())};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "causal_filter(Tensor input, Tensor taps, int parts=1) -> Tensor", tags);
  m.def(
      "causal_filter_backward(Tensor grad, Tensor input, Tensor taps, "
      "int parts) -> (Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("causal_filter", &composite::causal_filter);
  m.impl("causal_filter_backward", &composite::causal_filter_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("causal_filter", &causal_filter_meta);
  m.impl("causal_filter_backward", &backward_meta);
}

} // namespace signalllm::ops
