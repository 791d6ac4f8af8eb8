// fourier_taps by plain ATen, on any device: the reference of its kernels.
#include "ops/fourier_taps.h"
#include "ops/signal.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <numbers>
#include <utility>
#include <vector>

namespace signalllm::ops::composite {
namespace {

/// Autocast would take the products to half precision, TF32 to ten bits.
struct FullPrecision {
  c10::impl::ExcludeDispatchKeyGuard autocast{c10::autocast_dispatch_keyset};
  at::NoTF32Guard tf32;
};

/// What both directions need, channels first: every axis of waves is M + 1.
struct Waves {
  at::Tensor a, b; // [C, M + 1, 1]; b_0 = 0
  at::Tensor lambda; // [C, 1, 1], over N
  at::Tensor harmonic; // [C, M + 1, 1], m s
  at::TensorOptions like;
  int64_t period, block, blocks;

  Waves(
      const at::Tensor& terms,
      const at::Tensor& log_decay,
      const at::Tensor& frequency,
      int64_t length,
      int64_t period)
      : like(terms.options()
                 .dtype(accumulate_type(terms.scalar_type()))
                 .requires_grad(false)),
        period(period), block(fourier_block(length)),
        blocks((length + block - 1) / block) {
    const auto type = accumulate_type(terms.scalar_type());
    const int64_t count = terms.size(0) / 2 + 1;
    const auto rows = terms.to(type).t().unsqueeze(2);
    a = rows.narrow(1, 0, count);
    b = at::cat({at::zeros_like(a).narrow(1, 0, 1), rows.slice(1, count)}, 1);
    lambda = (log_decay.to(type).exp() / static_cast<double>(period))
                 .unsqueeze(1)
                 .unsqueeze(2);
    const auto s = frequency.detach().round().to(at::kLong);
    harmonic = (s.unsqueeze(1) * at::arange(count, s.options())).unsqueeze(2);
  }

  /// Times 0, step, 2 step..., `count` of them.
  at::Tensor times(int64_t count, int64_t step) const {
    return at::arange(count, harmonic.options()) * step;
  }
  /// cos and sin of pi m s t / N, [C, M + 1, T].
  std::pair<at::Tensor, at::Tensor> turn(const at::Tensor& t) const {
    // Within half a turn of 0: a smaller angle has a smaller rounding.
    const auto phase = (harmonic * t + period).remainder(2 * period) - period;
    const auto angle = phase.to(like.dtype()) *
        (std::numbers::pi / static_cast<double>(period));
    return {angle.cos(), angle.sin()};
  }
  /// exp(-lambda t / N), [C, 1, T].
  at::Tensor fade(const at::Tensor& t) const {
    return (-lambda * t.to(like.dtype())).exp();
  }
};

} // namespace

at::Tensor fourier_taps(
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t length,
    int64_t period) {
  check_fourier_taps("fourier_taps", terms, log_decay, frequency, period);
  TORCH_CHECK(
      length >= 1,
      "fourier_taps: length is ",
      length,
      "; it must be at least 1");
  const FullPrecision guard;
  const Waves w(terms, log_decay, frequency, length, period);
  const auto anchors = w.times(w.blocks, w.block), steps = w.times(w.block, 1);
  const auto [anchor_cos, anchor_sin] = w.turn(anchors);
  const auto [step_cos, step_sin] = w.turn(steps);
  const auto anchored = at::cat(
                            {w.a * anchor_cos + w.b * anchor_sin,
                             w.b * anchor_cos - w.a * anchor_sin},
                            1) *
      w.fade(anchors);
  const auto within = at::cat({step_cos, step_sin}, 1) * w.fade(steps);
  return anchored.transpose(1, 2)
      .matmul(within)
      .flatten(1)
      .narrow(1, 0, length)
      .t()
      .contiguous();
}

// The sums G_m = sum_t g(t) z_m^t and H_m = sum_t (t / N) g(t) z_m^t: first
// inside the blocks, with t for the time since the anchor, then over them.
std::tuple<at::Tensor, at::Tensor> fourier_taps_backward(
    const at::Tensor& grad,
    const at::Tensor& terms,
    const at::Tensor& log_decay,
    const at::Tensor& frequency,
    int64_t period) {
  check_fourier_taps(
      "fourier_taps_backward", terms, log_decay, frequency, period);
  TORCH_CHECK(
      grad.dim() == 2 && grad.size(0) >= 1 && grad.size(1) == terms.size(1) &&
          grad.device() == terms.device(),
      "fourier_taps_backward: grad must be [L, C] with the ",
      terms.size(1),
      " channels of terms on ",
      terms.device(),
      ", got ",
      grad.sizes(),
      " on ",
      grad.device());
  const FullPrecision guard;
  const int64_t length = grad.size(0);
  const Waves w(terms, log_decay, frequency, length, period);
  const auto anchors = w.times(w.blocks, w.block), steps = w.times(w.block, 1);
  const auto [anchor_cos, anchor_sin] = w.turn(anchors);
  const auto [step_cos, step_sin] = w.turn(steps);
  const auto within = at::cat({step_cos, step_sin}, 1) * w.fade(steps);
  const auto fade = w.fade(anchors);
  const auto turn_cos = anchor_cos * fade, turn_sin = anchor_sin * fade;
  const auto scaled = [&](const at::Tensor& t) {
    return t.to(w.like.dtype()) / static_cast<double>(period);
  };
  const auto g =
      at::constant_pad_nd(
          grad.to(w.like.dtype()).t(), {0, w.blocks * w.block - length})
          .unflatten(1, {w.blocks, w.block});
  // [C, 2 (M + 1), A]: real parts, then imaginary ones.
  const auto sums = within.matmul(g.transpose(1, 2));
  const auto moments = (within * scaled(steps)).matmul(g.transpose(1, 2)) +
      sums * scaled(anchors);
  const auto over_blocks = [&](const at::Tensor& x) {
    const auto parts = x.chunk(2, 1);
    return std::pair(
        (turn_cos * parts[0] - turn_sin * parts[1]).sum(2),
        (turn_sin * parts[0] + turn_cos * parts[1]).sum(2));
  };
  const auto [real, imaginary] = over_blocks(sums);
  const auto [real_moment, imaginary_moment] = over_blocks(moments);
  const auto grad_log_decay =
      (w.a.squeeze(2) * real_moment + w.b.squeeze(2) * imaginary_moment)
          .sum(1) *
      -log_decay.to(real.scalar_type()).exp();
  return {
      at::cat({real, imaginary.slice(1, 1)}, 1)
          .t()
          .to(terms.scalar_type())
          .contiguous(),
      grad_log_decay.to(log_decay.scalar_type())};
}

} // namespace signalllm::ops::composite
