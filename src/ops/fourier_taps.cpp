#include <signalllm/ops/fourier_taps.h>

#include "ops/checks.h"
#include "ops/find_operator.h"
#include "ops/fourier_taps.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace signalllm::ops {

at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t length,
    int64_t period) {
  return detail::fourier_taps(terms, log_decay, frequency, length, period);
}

at::Tensor detail::fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt length,
    int64_t period) {
  static const auto op =
      find_operator<decltype(detail::fourier_taps)>("signalllm::fourier_taps");
  return op.call(terms, log_decay, frequency, std::move(length), period);
}

std::tuple<at::Tensor, at::Tensor> detail::fourier_taps_backward(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period) {
  static const auto op = find_operator<decltype(detail::fourier_taps_backward)>(
      "signalllm::fourier_taps_backward");
  return op.call(grad, terms, log_decay, frequency, period);
}

void check_fourier_taps(
    std::string_view op,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period) {
  check_dense(op, "terms", terms);
  TORCH_CHECK(
      at::isFloatingType(terms.scalar_type()) && terms.dim() == 2 &&
          terms.size(0) % 2 == 1,
      op,
      ": terms must be a floating point tensor [2M + 1, C], got ",
      terms.scalar_type(),
      " ",
      terms.sizes());
  const auto check = [&](std::string_view name, const at::Tensor& t) {
    check_dense(op, name, t);
    TORCH_CHECK(
        t.dim() == 1 && t.size(0) == terms.size(1) &&
            t.device() == terms.device(),
        op,
        ": ",
        name,
        " must be [C] with the ",
        terms.size(1),
        " channels of terms on ",
        terms.device(),
        ", got ",
        t.sizes(),
        " on ",
        t.device());
  };
  check("log_decay", log_decay);
  check("frequency", frequency);
  TORCH_CHECK(
      log_decay.scalar_type() == terms.scalar_type() ||
          log_decay.scalar_type() == accumulate_type(terms.scalar_type()),
      op,
      ": log_decay has dtype ",
      log_decay.scalar_type(),
      " beside terms of ",
      terms.scalar_type(),
      "; allowed: that of terms, or Float beside half precision");
  TORCH_CHECK(
      !frequency.is_complex() && frequency.scalar_type() != at::kBool,
      op,
      ": frequency has dtype ",
      frequency.scalar_type(),
      "; real whole numbers are needed");
  TORCH_CHECK(
      period >= 1, op, ": period is ", period, "; it must be at least 1");
}

int64_t fourier_block(int64_t length) {
  int64_t block = 1;
  while (block * block < length) {
    block *= 2;
  }
  return block;
}

namespace {

at::Tensor taps_composite(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt length,
    int64_t period) {
  return composite::fourier_taps(
      terms,
      log_decay,
      frequency,
      length.guard_int(__FILE__, __LINE__),
      period);
}

at::Tensor taps_meta(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    c10::SymInt length,
    int64_t) {
  check_symbolic(
      "fourier_taps",
      terms,
      -1,
      {{"log_decay", log_decay}, {"frequency", frequency}});
  return at::empty_symint(
      {std::move(length), terms.sym_size(1)},
      terms.options().dtype(accumulate_type(terms.scalar_type())));
}

std::tuple<at::Tensor, at::Tensor> backward_meta(
    const at::Tensor&,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor&,
    int64_t) {
  return {
      at::empty_symint(terms.sym_sizes(), terms.options()),
      at::empty_symint(log_decay.sym_sizes(), log_decay.options())};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(signalllm, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "fourier_taps(Tensor terms, Tensor log_decay, Tensor frequency, "
      "SymInt length, int period) -> Tensor",
      tags);
  m.def(
      "fourier_taps_backward(Tensor grad, Tensor terms, Tensor log_decay, "
      "Tensor frequency, int period) -> (Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(signalllm, CompositeExplicitAutograd, m) {
  m.impl("fourier_taps", &taps_composite);
  m.impl("fourier_taps_backward", &composite::fourier_taps_backward);
}

TORCH_LIBRARY_IMPL(signalllm, Meta, m) {
  m.impl("fourier_taps", &taps_meta);
  m.impl("fourier_taps_backward", &backward_meta);
}

} // namespace signalllm::ops
