// fft_conv by plain ATen, on any device: the reference of its kernels.
#include "ops/fft_conv.h"
#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace signalllm::ops::composite {
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

} // namespace signalllm::ops::composite
