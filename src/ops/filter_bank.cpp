#include "ops/filter_bank.h"

#include "ops/long_product.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

namespace signalllm::ops::bank {
namespace {

/// The extended signal that a level reads is x_ext[-left .. count - left).
struct Window {
  int64_t left, count, coefficients;

  Window(Mode mode, int64_t length, int64_t taps)
      : left(mode == Mode::periodization ? taps / 2 - 1 : taps - 2),
        coefficients(coefficient_length(mode, length, taps)) {
    count = 2 * (coefficients - 1) + taps;
  }
};

/// x_ext at the rows outside the signal: sum_k weight[k] x[index[k]]. Made of
/// ATen operators on the signal's device, so that nothing crosses from the
/// host; `extension_row` is the same table for kernels.
struct Overhang {
  struct Term {
    at::Tensor index; // [rows]
    at::Tensor weight; // [rows, 1]; undefined: 1
  };

  int64_t before, after;
  std::vector<Term> terms;

  Overhang(Mode mode, const Window& w, int64_t n, const at::Tensor& like)
      : before(w.left), after(w.count - w.left - n) {
    if (rows() == 0 || mode == Mode::zero) {
      return;
    }
    const auto options = like.options().dtype(at::kLong);
    const auto i = at::cat(
        {at::arange(-before, 0, options), at::arange(n, n + after, options)});
    const auto weight = [&](const at::Tensor& v) {
      return v.to(like.scalar_type()).unsqueeze(1);
    };
    // Position in a period that runs there and back: [0, n) and its mirror.
    const auto mirrored = [&](const at::Tensor& m, int64_t last) {
      return at::minimum(m, last - m);
    };
    switch (mode) {
      case Mode::zero:
        break;
      case Mode::constant:
        terms = {{i.clamp(0, n - 1), {}}};
        break;
      case Mode::symmetric:
        terms = {{mirrored(i.remainder(2 * n), 2 * n - 1), {}}};
        break;
      case Mode::periodic:
        terms = {{i.remainder(n), {}}};
        break;
      case Mode::periodization:
        terms = {{i.remainder(n + n % 2).clamp_max(n - 1), {}}};
        break;
      case Mode::reflect:
        terms = {{mirrored(i.remainder(2 * n - 2), 2 * n - 2), {}}};
        break;
      case Mode::antisymmetric: {
        const auto m = i.remainder(2 * n);
        terms = {
            {mirrored(m, 2 * n - 1), weight(1 - 2 * m.ge(n).to(at::kLong))}};
        break;
      }
      case Mode::antireflect: {
        const int64_t p = n - 1;
        const auto m = i.remainder(2 * p);
        const auto turns = (i - m).floor_divide(2 * p);
        const auto back = m.gt(p).to(at::kLong);
        terms = {
            {mirrored(m, 2 * p), weight(1 - 2 * back)},
            {at::full_like(i, p), weight(2 * (turns + back))},
            {at::zeros_like(i), weight(-2 * turns)}};
        break;
      }
      case Mode::smooth: {
        const auto steps = at::maximum(-i, i - (n - 1));
        const auto inner = at::where(
            i.lt(0),
            at::full_like(i, std::min<int64_t>(1, n - 1)),
            at::full_like(i, std::max<int64_t>(n - 2, 0)));
        terms = {
            {i.clamp(0, n - 1), weight(1 + steps)}, {inner, weight(-steps)}};
        break;
      }
    }
  }

  int64_t rows() const {
    return before + after;
  }
};

at::Tensor extend(const at::Tensor& x, Mode mode, const Window& w) {
  const Overhang o(mode, w, x.size(1), x);
  if (o.terms.empty()) {
    return o.rows() == 0 ? x
                         : at::constant_pad_nd(x, {0, 0, o.before, o.after});
  }
  at::Tensor outside;
  for (const auto& term : o.terms) {
    auto row = x.index_select(1, term.index);
    row = term.weight.defined() ? row * term.weight : row;
    outside = outside.defined() ? outside + row : row;
  }
  return at::cat(
      {outside.narrow(1, 0, o.before), x, outside.narrow(1, o.before, o.after)},
      1);
}

at::Tensor extend_transpose(
    const at::Tensor& extended,
    Mode mode,
    const Window& w,
    int64_t length) {
  const Overhang o(mode, w, length, extended);
  auto x = extended.narrow(1, o.before, length);
  if (o.terms.empty()) {
    return x;
  }
  const auto outside = at::cat(
      {extended.narrow(1, 0, o.before),
       extended.narrow(1, o.before + length, o.after)},
      1);
  for (const auto& term : o.terms) {
    x = x.index_add(
        1, term.index, term.weight.defined() ? outside * term.weight : outside);
  }
  return x;
}

/// sum_k u[..., k] f[k], `f` shared or one per channel.
at::Tensor dot_taps(const at::Tensor& u, const at::Tensor& f) {
  // A product's gradient for `f` has all of u's rows as its inner dimension.
  const bool elementwise = f.size(0) != 1 ||
      (f.requires_grad() && is_long(u, {u.numel() / u.size(3)}));
  return elementwise ? (u * f).sum(-1) : at::matmul(u, f[0]);
}

/// y[n] = sum_k f[n - 2k] c[k], 2 (Nc - 1) + taps values.
at::Tensor upsample(const at::Tensor& c, const at::Tensor& f) {
  const int64_t half = f.size(1) / 2;
  const auto padded =
      half > 1 ? at::constant_pad_nd(c, {0, 0, half - 1, half - 1}) : c;
  const auto u = padded.unfold(1, half, 1);
  const auto phases = f.reshape({f.size(0), half, 2}).flip(1);
  return at::stack(
             {dot_taps(u, phases.select(2, 0)),
              dot_taps(u, phases.select(2, 1))},
             2)
      .reshape({c.size(0), 2 * u.size(1), c.size(2)});
}

/// sum_{b,o} g[b,o,i] u[b,o,i,k] as `[1 or inner, taps]`.
at::Tensor correlate(const at::Tensor& g, const at::Tensor& u, bool shared) {
  if (is_long(g, {shared ? g.numel() : g.size(0) * g.size(1)})) {
    const auto terms = g.unsqueeze(3) * u;
    return shared ? terms.sum(at::IntArrayRef({0, 1, 2})).unsqueeze(0)
                  : terms.sum(at::IntArrayRef({0, 1}));
  }
  return shared ? at::einsum("boi,boik->k", {g, u}).unsqueeze(0)
                : at::einsum("boi,boik->ik", {g, u});
}

} // namespace

Pair analysis(
    const at::Tensor& x,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode) {
  const int64_t taps = lo.size(1);
  const auto u =
      extend(x, mode, Window(mode, x.size(1), taps)).unfold(1, taps, 2);
  return {dot_taps(u, lo.flip(1)), dot_taps(u, hi.flip(1))};
}

at::Tensor analysis_transpose(
    const at::Tensor& a,
    const at::Tensor& d,
    const at::Tensor& lo,
    const at::Tensor& hi,
    int64_t length,
    Mode mode) {
  const auto full = upsample(a, lo.flip(1)) + upsample(d, hi.flip(1));
  return extend_transpose(full, mode, Window(mode, length, lo.size(1)), length);
}

at::Tensor synthesis(
    const at::Tensor& a,
    const at::Tensor& d,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode) {
  const int64_t taps = lo.size(1);
  const int64_t length = synthesis_length(mode, a.size(1), taps);
  auto full = upsample(a, lo) + upsample(d, hi);
  if (mode != Mode::periodization) {
    return full.narrow(1, taps - 2, length);
  }
  const int64_t turns = (full.size(1) + length - 1) / length;
  full = at::constant_pad_nd(full, {0, 0, 0, turns * length - full.size(1)});
  return full.reshape({a.size(0), turns, length, a.size(2)})
      .sum(1)
      .roll(-(taps / 2 - 1), 1);
}

Pair synthesis_transpose(
    const at::Tensor& y,
    const at::Tensor& lo,
    const at::Tensor& hi,
    Mode mode) {
  const auto same = mode == Mode::periodization ? mode : Mode::zero;
  return analysis(y, lo.flip(1), hi.flip(1), same);
}

Pair analysis_filter_gradient(
    const at::Tensor& ga,
    const at::Tensor& gd,
    const at::Tensor& x,
    int64_t taps,
    Mode mode,
    bool shared) {
  const auto u =
      extend(x, mode, Window(mode, x.size(1), taps)).unfold(1, taps, 2);
  return {correlate(ga, u, shared).flip(1), correlate(gd, u, shared).flip(1)};
}

Pair synthesis_filter_gradient(
    const at::Tensor& gy,
    const at::Tensor& a,
    const at::Tensor& d,
    int64_t taps,
    Mode mode,
    bool shared) {
  const auto same = mode == Mode::periodization ? mode : Mode::zero;
  const auto u =
      extend(gy, same, Window(same, gy.size(1), taps)).unfold(1, taps, 2);
  return {correlate(a, u, shared), correlate(d, u, shared)};
}

} // namespace signalllm::ops::bank
