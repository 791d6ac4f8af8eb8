#include "ops/mps/bank_part.h"

#include <ATen/Functions.h>

#include <algorithm>

namespace signalllm::mps {
namespace {

/// As in bank_gradient.metal.
struct BankSum {
  int32_t count, taps, slots, filters;
};

/// One backward pass.
struct Gradient {
  const BankSetting& set;
  const Tensors& details;
  at::ScalarType type;
  std::vector<Part> parts;
  Tensors signals, tops; // that each part begins with
  int64_t count = 0; // of shares

  Gradient(
      const BankSetting& set,
      const at::Tensor& signal,
      const at::Tensor& top,
      const Tensors& details)
      : set(set), details(details), type(details[0].scalar_type()),
        parts(parts_of(set, Direction::both)), signals(parts.size()),
        tops(parts.size()) {
    signals.front() = signal;
    tops.back() = top;
    for (auto& part : parts) {
      auto& b = part.bank;
      // As many shares as keep a group's threads busy.
      b.parts =
          std::clamp(256 / (2 * b.taps * (b.filters > 0 ? b.width : 1)), 1, 16);
      b.first_share = static_cast<int32_t>(count);
      count += int64_t{b.tiles} * b.parts *
          (b.filters > 0 ? 1 : (b.columns + b.width - 1) / b.width);
    }
  }

  int64_t slots() const {
    return set.lo.dim() == 1 ? 1 : set.signal.batch * set.signal.inner;
  }

  BankSetting setting_of(const Part& part, std::vector<int64_t>& lengths)
      const {
    lengths.assign(
        set.lengths.begin() + part.begin, set.lengths.begin() + part.end + 1);
    return {
        set.signal,
        set.border,
        set.offset,
        lengths,
        set.lo,
        set.hi,
        set.reconstruction};
  }

  /// With more parts than one the transform that does not go on from part to
  /// part runs ahead.
  void run_ahead() {
    std::vector<int64_t> lengths;
    if (set.reconstruction) {
      for (size_t k = parts.size() - 1; k > 0; --k) {
        const auto& part = parts[k];
        tops[k - 1] = scratch(set, signals[0], part.begin);
        synthesise(
            setting_of(part, lengths),
            tops[k],
            Tensors(details.begin() + part.begin, details.begin() + part.end),
            tops[k - 1]);
      }
    } else {
      for (size_t k = 0; k + 1 < parts.size(); ++k) {
        signals[k + 1] = scratch(set, signals[0], parts[k].end);
        analyse_as(
            setting_of(parts[k], lengths),
            signals[k],
            {},
            signals[k + 1],
            type);
      }
    }
  }

  /// `out` is the signal of wavedec or the approximation of waverec, undefined
  /// where it is not wanted.
  void run(
      const Part& part,
      const at::Tensor& signal,
      const at::Tensor& top,
      const at::Tensor& out,
      const Tensors& out_details,
      const at::Tensor& shares) const {
    const auto dim = set.signal.dim;
    Bank b = part.bank;
    const View signal_view(signal, dim), top_view(top, dim);
    const auto d = read_details(details, part, dim, b);
    const Either x(signal_view.memory, type), a(top_view.memory, type);
    const Either y(
        out.defined() ? out : at::empty({1}, details[0].options()), type);
    b.strides[0] = signal_view.strides;
    b.top = top_view.strides;
    b.wide_signal = x.is_wide;
    b.wide_top = a.is_wide;
    b.wide_out = y.is_wide;
    if (out.defined()) {
      b.wanted = set.reconstruction ? kApproximation : kSignal;
      b.top_rows = static_cast<int32_t>(out.size(dim));
    }
    if (!out_details.empty()) {
      b.wanted |= kDetails;
    }
    launch(
        kernel("bank_gradient", type, set.lo.scalar_type()),
        grid_of(b),
        shares,
        y.own,
        y.wide,
        x.own,
        x.wide,
        a.own,
        a.wide,
        set.lo.contiguous(),
        set.hi.contiguous(),
        d,
        out_details.empty() ? Tensors(kBankLevels, y.own)
                            : written(out_details, part.begin, part.end),
        b);
  }

  std::tuple<at::Tensor, at::Tensor> sum(const at::Tensor& shares) const {
    auto lo = at::empty(set.lo.sizes(), set.lo.options());
    auto hi = at::empty(set.hi.sizes(), set.hi.options());
    const BankSum p{
        static_cast<int32_t>(count),
        static_cast<int32_t>(set.lo.size(-1)),
        static_cast<int32_t>(slots()),
        set.lo.dim() == 1 ? 0 : static_cast<int32_t>(set.lo.size(0))};
    Grid grid;
    grid.x = 2 * set.lo.numel();
    const auto terms = count * slots() / std::max(p.filters, 1);
    grid.threads = std::clamp<int64_t>((terms + 31) / 32 * 32, 32, 256);
    launch(
        kernel("bank_gradient_sum", set.lo.scalar_type()),
        grid,
        lo,
        hi,
        shares,
        p);
    return {lo, hi};
  }
};

} // namespace

std::tuple<at::Tensor, at::Tensor> filter_gradients(
    const BankSetting& set,
    const at::Tensor& signal,
    const at::Tensor& approximation,
    const Tensors& details,
    const at::Tensor& out,
    const Tensors& out_details) {
  Gradient g(set, signal, approximation, details);
  const auto taps = set.lo.size(-1);
  if (g.count * 2 * taps * g.slots() >= kMostValues) {
    return {};
  }
  g.run_ahead();
  const auto shares = at::empty(
      {g.count, 2, taps, g.slots()}, signal.options().dtype(at::kFloat));
  const auto count = g.parts.size();
  for (size_t i = 0; i < count; ++i) {
    // waverec's gradient goes up from the signal, wavedec's down to it.
    const auto k = set.reconstruction ? i : count - 1 - i;
    const auto& part = g.parts[k];
    const bool last = i + 1 == count;
    const auto to = last
        ? out
        : scratch(set, signal, set.reconstruction ? part.end : part.begin);
    g.run(part, g.signals[k], g.tops[k], to, out_details, shares);
    if (!last) {
      (set.reconstruction ? g.signals[k + 1] : g.tops[k - 1]) = to;
    }
  }
  return g.sum(shares);
}

} // namespace signalllm::mps
