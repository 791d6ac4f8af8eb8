#include <signalllm/ops/fft_conv.h>

#include "ops/checks.h"
#include "ops/fft_conv.h"
#include "ops/find_operator.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  static const auto op =
      find_operator<decltype(fft_conv)>("signalllm::fft_conv");
  return op.call(input, kernel, skip, causal);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> detail::fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  static const auto op = find_operator<decltype(detail::fft_conv_backward)>(
      "signalllm::fft_conv_backward");
  return op.call(grad, input, kernel, skip, causal);
}

void check_fft_conv(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  check_dense(op, "input", input);
  TORCH_CHECK(
      at::isFloatingType(input.scalar_type()) && input.dim() == 3,
      op,
      ": input must be a floating point tensor [N, L, C], got ",
      input.scalar_type(),
      " ",
      input.sizes());
  TORCH_CHECK(
      input.size(1) >= 1, op, ": input has length 0; at least 1 is needed");
  const auto check = [&](std::string_view name, const at::Tensor& t) {
    check_dense(op, name, t);
    TORCH_CHECK(
        t.scalar_type() == input.scalar_type() ||
            t.scalar_type() == accumulate_type(input.scalar_type()),
        op,
        ": ",
        name,
        " has dtype ",
        t.scalar_type(),
        " beside an input of ",
        input.scalar_type(),
        "; allowed: the input's, or Float beside half precision");
    TORCH_CHECK(
        t.device() == input.device(),
        op,
        ": ",
        name,
        " is on ",
        t.device(),
        " but input is on ",
        input.device(),
        "; move one of them");
  };
  check("kernel", kernel);
  TORCH_CHECK(
      kernel.dim() == 2 && kernel.size(0) >= 1 &&
          kernel.size(1) == input.size(2),
      op,
      ": kernel must be [K, C] with K >= 1 and the input's ",
      input.size(2),
      " channels, got ",
      kernel.sizes());
  TORCH_CHECK(
      causal || kernel.size(0) <= input.size(1),
      op,
      ": a circular kernel has at most the input's ",
      input.size(1),
      " taps, got ",
      kernel.size(0));
  if (skip.has_value()) {
    check("skip", *skip);
    TORCH_CHECK(
        skip->dim() == 1 && skip->size(0) == input.size(2),
        op,
        ": skip must be [C] with the input's ",
        input.size(2),
        " channels, got ",
        skip->sizes());
  }
}

int64_t fft_length(int64_t n) {
  for (int64_t candidate = n + n % 2;; candidate += 2) {
    int64_t rest = candidate;
    for (const int64_t prime : {2, 3, 5, 7}) {
      while (rest % prime == 0) {
        rest /= prime;
      }
    }
    if (rest == 1) {
      return candidate;
    }
  }
}

namespace {

at::Tensor fft_conv_meta(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool) {
  check_symbolic(
      "fft_conv",
      input,
      -1,
      {{"kernel", kernel}, {"skip", skip.value_or(kernel)}});
  return at::empty_symint(input.sym_sizes(), input.options());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_meta(
    const at::Tensor&,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool) {
  return {
      at::empty_symint(input.sym_sizes(), input.options()),
      at::empty_symint(kernel.sym_sizes(), kernel.options()),
      at::empty_symint(
          {input.sym_size(2)}, (skip.has_value() ? *skip : kernel).options())};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "fft_conv(Tensor input, Tensor kernel, Tensor? skip=None, "
      "bool causal=True) -> Tensor",
      tags);
  m.def(
      "fft_conv_backward(Tensor grad, Tensor input, Tensor kernel, "
      "Tensor? skip, bool causal) -> (Tensor, Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("fft_conv", &composite::fft_conv);
  m.impl("fft_conv_backward", &composite::fft_conv_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("fft_conv", &fft_conv_meta);
  m.impl("fft_conv_backward", &backward_meta);
}

} // namespace signalllm::ops
