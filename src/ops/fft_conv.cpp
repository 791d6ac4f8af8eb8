#include <signalllm/ops/fft_conv.h>

#include "ops/checks.h"
#include "ops/fft_conv.h"
#include "ops/find_operator.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <algorithm>
#include <utility>
#include <vector>

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

namespace composite {
namespace {

/// `[..., L, C]` as a contiguous `[..., C, L]`: the transform runs along the
/// last axis, the one layout that every device gets right.
at::Tensor channels_first(const at::Tensor& x) {
  return x.transpose(-1, -2).contiguous();
}

/// Never the lazy conjugate bit: it is lost where a dispatch mode leaves the
/// Conjugate key out (torch.compile), and on MPS (pytorch#184379).
at::Tensor conjugate(const at::Tensor& z) {
  return at::conj_physical(z);
}

/// The first `length` values of a linear convolution, or all of it folded to
/// a period of `length`.
at::Tensor fold(const at::Tensor& full, int64_t length, bool causal) {
  const auto head = full.narrow(-1, 0, length);
  if (causal) {
    return head;
  }
  const int64_t rest = std::min(full.size(-1) - length, length);
  return head +
      at::constant_pad_nd(full.narrow(-1, length, rest), {0, length - rest});
}

/// The same for a correlation, whose negative lags stand at the end.
at::Tensor fold_lags(const at::Tensor& full, int64_t length, bool causal) {
  const auto head = full.narrow(-1, 0, length);
  return causal ? head : head + full.narrow(-1, full.size(-1) - length, length);
}

/// Up to as many taps as this the sum itself is the faster way on a CPU at
/// every size, 1.6 to 20 times.
constexpr int64_t kDirectTaps = 16;

/// Taps that can change anything.
int64_t useful_taps(const at::Tensor& input, const at::Tensor& kernel) {
  // No FFT library takes an empty signal; the sum over one tap is exact then.
  const bool empty = input.size(0) == 0 || input.size(2) == 0;
  return empty ? 1 : std::min(kernel.size(0), input.size(1));
}

/// A view of a signal and one of its shifted self: y[t + shift] and x[t], and
/// behind the end, in a ring, y[t + shift - L] and x[t].
template <class Visit>
void shifted(
    const at::Tensor& y,
    const at::Tensor& x,
    int64_t shift,
    bool causal,
    const Visit& visit) {
  const int64_t rest = x.size(1) - shift;
  visit(y.narrow(1, shift, rest), x.narrow(1, 0, rest));
  if (!causal && shift > 0) {
    visit(y.narrow(1, 0, shift), x.narrow(1, rest, shift));
  }
}

/// `kernel` holds the useful taps alone.
at::Tensor
direct_conv(const at::Tensor& x, const at::Tensor& kernel, bool causal) {
  auto y = x * kernel.select(0, 0);
  for (int64_t k = 1; k < kernel.size(0); ++k) {
    shifted(y, x, k, causal, [&](at::Tensor to, const at::Tensor& from) {
      to.addcmul_(from, kernel.select(0, k));
    });
  }
  return y;
}

/// Gradients of the signal and of the useful taps.
std::pair<at::Tensor, at::Tensor> direct_conv_backward(
    const at::Tensor& g,
    const at::Tensor& x,
    const at::Tensor& kernel,
    bool causal) {
  auto gx = g * kernel.select(0, 0);
  std::vector<at::Tensor> gk;
  for (int64_t k = 0; k < kernel.size(0); ++k) {
    at::Tensor sum;
    shifted(g, x, k, causal, [&](const at::Tensor& a, const at::Tensor& b) {
      const auto part = (a * b).sum(at::IntArrayRef({0, 1}));
      sum = sum.defined() ? sum + part : part;
    });
    gk.push_back(sum);
    if (k > 0) {
      shifted(g, gx, k, causal, [&](const at::Tensor& from, at::Tensor to) {
        to.addcmul_(from, kernel.select(0, k));
      });
    }
  }
  return {gx, at::stack(gk)};
}

} // namespace

at::Tensor fft_conv(
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  check_fft_conv("fft_conv", input, kernel, skip, causal);
  const auto type = accumulate_type(input.scalar_type());
  if (input.sym_numel() == 0) { // which MPS cannot transform
    const auto y = input * kernel.select(0, 0);
    return (skip.has_value() ? y + input * *skip : y).to(input.scalar_type());
  }
  const int64_t length = input.size(1);
  const int64_t taps = useful_taps(input, kernel);
  if (taps <= kDirectTaps) {
    const auto x = input.to(type);
    auto y = direct_conv(x, kernel.narrow(0, 0, taps).to(type), causal);
    if (skip.has_value()) {
      y = y + x * skip->to(type);
    }
    return y.to(input.scalar_type()).contiguous();
  }
  const int64_t n = fft_length(causal ? length + taps - 1 : 2 * length);
  const auto x = channels_first(input.to(type));
  const auto k = channels_first(kernel.narrow(0, 0, taps).to(type));
  const auto spectrum = at::fft_rfft(x, n) * at::fft_rfft(k, n);
  auto y = fold(at::fft_irfft(spectrum, n), length, causal);
  if (skip.has_value()) {
    y = y + x * skip->to(type).unsqueeze(-1);
  }
  return y.to(input.scalar_type()).transpose(1, 2).contiguous();
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> fft_conv_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& skip,
    bool causal) {
  check_fft_conv("fft_conv_backward", input, kernel, skip, causal);
  TORCH_CHECK(
      grad.sizes() == input.sizes() && grad.device() == input.device(),
      "fft_conv_backward: grad must be like input, ",
      input.sizes(),
      ", got ",
      grad.sizes());
  const auto type = accumulate_type(input.scalar_type());
  if (input.sym_numel() == 0) {
    // Zeros that depend on what they are gradients of, for a second derivative.
    const auto none = (grad * input).sum(at::IntArrayRef({0, 1}));
    return {
        (grad * kernel.select(0, 0)).to(input.scalar_type()),
        (at::zeros_like(kernel) + none).to(kernel.scalar_type()),
        none.to(skip.has_value() ? skip->scalar_type() : kernel.scalar_type())};
  }
  const int64_t length = input.size(1);
  const int64_t taps = useful_taps(input, kernel);
  if (taps <= kDirectTaps) {
    const auto x = input.to(type);
    const auto g = grad.to(type);
    auto [gx, gk] =
        direct_conv_backward(g, x, kernel.narrow(0, 0, taps).to(type), causal);
    if (skip.has_value()) {
      gx = gx + g * skip->to(type);
    }
    if (taps < kernel.size(0)) {
      gk = at::constant_pad_nd(gk, {0, 0, 0, kernel.size(0) - taps});
    }
    return {
        gx.to(input.scalar_type()).contiguous(),
        gk.to(kernel.scalar_type()).contiguous(),
        (g * x)
            .sum(at::IntArrayRef({0, 1}))
            .to(skip.has_value() ? skip->scalar_type() : kernel.scalar_type())};
  }
  const int64_t n = fft_length(causal ? length + taps - 1 : 2 * length);
  const auto x = channels_first(input.to(type));
  const auto g = channels_first(grad.to(type));
  const auto k = channels_first(kernel.narrow(0, 0, taps).to(type));
  const auto spectrum = at::fft_rfft(g, n);
  auto gx = fold_lags(
      at::fft_irfft(spectrum * conjugate(at::fft_rfft(k, n)), n),
      length,
      causal);
  if (skip.has_value()) {
    gx = gx + g * skip->to(type).unsqueeze(-1);
  }
  const auto products = (spectrum * conjugate(at::fft_rfft(x, n))).sum(0);
  auto gk =
      fold_lags(at::fft_irfft(products, n), length, causal).narrow(-1, 0, taps);
  if (taps < kernel.size(0)) {
    gk = at::constant_pad_nd(gk, {0, kernel.size(0) - taps});
  }
  const auto gs = (g * x).sum(at::IntArrayRef({0, 2}));
  return {
      gx.to(input.scalar_type()).transpose(1, 2).contiguous(),
      gk.to(kernel.scalar_type()).transpose(0, 1).contiguous(),
      gs.to(skip.has_value() ? skip->scalar_type() : kernel.scalar_type())};
}

} // namespace composite

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
