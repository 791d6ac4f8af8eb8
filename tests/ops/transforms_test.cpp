// Every transform against its formula, value by value, in float64 and float32.
#include "ops/slow_transforms.h"

#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>
#include <signalllm/ops/iswt.h>
#include <signalllm/ops/swt.h>
#include <signalllm/ops/wavedec.h>
#include <signalllm/ops/waverec.h>
#include <signalllm/wavelet.h>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

using namespace signalllm;
using namespace signalllm::slow;

namespace {

/// What a property draws: sizes, filters, and a signal in float64 or float32.
struct Draw {
  at::ScalarType type = *rc::gen::arbitrary<bool>() ? at::kDouble : at::kFloat;
  int64_t batch = *rc::gen::inRange(1, 4);
  int64_t length = *rc::gen::inRange(1, 71);
  int64_t channels = *rc::gen::elementOf(
      std::vector<int64_t>{1, 2, 3, 5, 8, 15, 16, 17, 24, 40, 64});
  int64_t level = *rc::gen::inRange(0, 5);
  bool per_channel = *rc::gen::inRange(0, 4) == 0;
  at::Tensor lo, hi;

  /// Orthogonal filters, which are computed as rotations, or any.
  void draw_filters(bool even) {
    const bool named = even && !per_channel && *rc::gen::arbitrary<bool>();
    if (named) {
      const Wavelet wavelet(*rc::gen::elementOf(std::vector<std::string>{
          "haar", "db2", "db3", "db4", "db5", "db8", "db10", "bior2.4"}));
      lo = at::tensor(wavelet.dec_lo(), at::kDouble).to(type);
      hi = at::tensor(wavelet.dec_hi(), at::kDouble).to(type);
      return;
    }
    const int64_t taps =
        even ? 2 * *rc::gen::inRange(1, 8) : *rc::gen::inRange(1, 8);
    const auto make = [&] {
      const auto f = per_channel ? at::randn({channels, taps}, at::kDouble)
                                 : at::randn({taps}, at::kDouble);
      return (f / std::sqrt(double(taps))).to(type);
    };
    lo = make();
    hi = make();
  }
  int64_t taps() const {
    return lo.size(-1);
  }
  at::Tensor signal() const {
    return at::randn({batch, length, channels}, at::kDouble).to(type);
  }
  Row filter(const at::Tensor& f, int64_t channel) const {
    return row(per_channel ? f[channel] : f);
  }
  static Row row(const at::Tensor& t) {
    const auto c = t.to(at::kDouble).contiguous();
    return {c.data_ptr<double>(), c.data_ptr<double>() + c.numel()};
  }
  static Row row(const at::Tensor& t, int64_t b, int64_t c) {
    return row(t[b].select(1, c));
  }
  /// At most eight rows of `ours` are looked at, whole vectors and what is
  /// left of them.
  void each_row(const std::function<void(int64_t, int64_t)>& f) const {
    for (const int64_t c : {int64_t{0}, channels / 2, channels - 1}) {
      f(0, c);
      f(batch - 1, c);
    }
  }
  /// Rounding of `level` sums one after the other, each of `taps` terms and
  /// less than `most`, which the next one makes larger by at most `gain`.
  double allowed(double most) const {
    const double eps = type == at::kDouble
        ? std::numeric_limits<double>::epsilon()
        : std::numeric_limits<float>::epsilon();
    double sum = 1;
    for (const auto& f : {lo, hi}) {
      sum = std::max(sum, f.to(at::kDouble).abs().sum(-1).max().item<double>());
    }
    return 4 * eps * static_cast<double>(2 * taps() * (level + 1)) *
        std::max(most, 1.0) * std::pow(sum, level);
  }
  void expect(
      const at::Tensor& ours,
      int64_t b,
      int64_t c,
      const Row& wanted,
      double most) const {
    const auto got = row(ours, b, c);
    RC_ASSERT(got.size() == wanted.size());
    for (size_t i = 0; i < got.size(); ++i) {
      RC_ASSERT(std::abs(got[i] - wanted[i]) <= allowed(most));
    }
  }
};

} // namespace

RC_GTEST_PROP(Transforms, WavedecIsItsFormula, ()) {
  const c10::AutoGradMode guard(false);
  const auto mode = *rc::gen::elementOf(modes());
  Draw k;
  k.draw_filters(true);
  // Reflecting one value is refused; extrapolating grows without end.
  const bool reflects = mode == "reflect" || mode == "antireflect";
  RC_PRE(!reflects || k.length > 1);
  if (reflects || mode == "smooth") {
    k.level = std::min<int64_t>(k.level, 1);
  }
  const auto x = k.signal();
  const auto ours = ops::wavedec(x, k.lo, k.hi, k.level, mode);
  RC_ASSERT(ours.size() == static_cast<size_t>(k.level + 1));
  k.each_row([&](int64_t b, int64_t c) {
    Sums sums;
    const auto lo = k.filter(k.lo, c), hi = k.filter(k.hi, c);
    auto a = Draw::row(x, b, c);
    std::vector<Row> details;
    for (int64_t l = 0; l < k.level; ++l) {
      details.push_back(analysed(a, hi, mode, sums));
      a = analysed(a, lo, mode, sums);
    }
    k.expect(ours[0], b, c, a, sums.largest);
    for (int64_t l = 0; l < k.level; ++l) {
      k.expect(ours[k.level - l], b, c, details[l], sums.largest);
    }
  });
}

RC_GTEST_PROP(Transforms, WaverecIsItsFormula, ()) {
  const c10::AutoGradMode guard(false);
  const auto mode = *rc::gen::elementOf(modes());
  Draw k;
  k.draw_filters(true);
  const bool wraps = mode == "periodization";
  // From the coarsest level up; an approximation may be one value longer.
  const int64_t least = wraps ? 1 : k.taps() / 2;
  int64_t n = k.length / 4 + least;
  std::vector<at::Tensor> coeffs;
  const auto add = [&] {
    coeffs.push_back(
        at::randn({k.batch, n, k.channels}, at::kDouble).to(k.type));
  };
  add();
  for (int64_t l = 0; l < k.level && n >= least; ++l) {
    n -= n > least && *rc::gen::arbitrary<bool>();
    add();
    n = wraps ? 2 * n : 2 * n - k.taps() + 2;
  }
  const auto ours = ops::waverec(coeffs, k.lo, k.hi, mode);
  k.each_row([&](int64_t b, int64_t c) {
    Sums sums;
    const auto lo = k.filter(k.lo, c), hi = k.filter(k.hi, c);
    auto a = Draw::row(coeffs[0], b, c);
    for (size_t i = 1; i < coeffs.size(); ++i) {
      const auto d = Draw::row(coeffs[i], b, c);
      a.resize(d.size());
      a = synthesised(a, d, lo, hi, mode, sums);
    }
    k.expect(ours, b, c, a, sums.largest);
  });
}

RC_GTEST_PROP(Transforms, SwtAndIswtAreTheirFormulas, ()) {
  const c10::AutoGradMode guard(false);
  Draw k;
  k.draw_filters(true);
  const auto x = k.signal();
  const auto ours = ops::swt(x, k.lo, k.hi, k.level);
  const auto back = ops::iswt(ours, k.lo, k.hi);
  const int64_t offset = k.taps() / 2;
  k.each_row([&](int64_t b, int64_t c) {
    Sums sums;
    const auto lo = k.filter(k.lo, c), hi = k.filter(k.hi, c);
    auto a = Draw::row(x, b, c);
    for (int64_t l = 0; l < k.level; ++l) {
      const auto d = circular(a, hi, int64_t{1} << l, offset, sums);
      a = circular(a, lo, int64_t{1} << l, offset, sums);
      k.expect(ours[k.level - l], b, c, d, sums.largest);
    }
    k.expect(ours[0], b, c, a, sums.largest);
    Sums up;
    a = Draw::row(ours[0], b, c);
    for (int64_t l = k.level - 1; l >= 0; --l) {
      const auto D = int64_t{1} << l;
      const auto d =
          circular(Draw::row(ours[k.level - l], b, c), hi, D, offset - 1, up);
      a = circular(a, lo, D, offset - 1, up);
      for (size_t i = 0; i < a.size(); ++i) {
        a[i] = (a[i] + d[i]) / 2;
      }
    }
    k.expect(back, b, c, a, up.largest);
  });
}

RC_GTEST_PROP(Transforms, CausalBanksAreTheirFormulas, ()) {
  const c10::AutoGradMode guard(false);
  Draw k;
  k.draw_filters(false);
  const auto x = k.signal();
  const auto ours = ops::causal_wavedec(x, k.lo, k.level);
  const auto w =
      at::randn({k.per_channel ? k.channels : 1, k.level + 2}, at::kDouble)
          .to(k.type);
  const auto filtered = ops::causal_wavelet_filter(x, k.lo, k.hi, w);
  k.each_row([&](int64_t b, int64_t c) {
    Sums sums;
    const auto lo = k.filter(k.lo, c), hi = k.filter(k.hi, c);
    const auto weight = Draw::row(w[k.per_channel ? c : 0]);
    auto a = Draw::row(x, b, c);
    Row y(a.size());
    double most = 0; // of the read-out's terms
    const auto add = [&](double factor, const Row& band) {
      for (size_t t = 0; t < y.size(); ++t) {
        y[t] += factor * band[t];
      }
      most += std::abs(factor);
    };
    add(weight[0], a);
    for (int64_t l = 0; l < k.level; ++l) {
      const auto D = int64_t{1} << l;
      const auto next = causal(a, lo, D, sums);
      add(weight[l + 1], causal(a, hi, D, sums));
      Row d(a);
      for (size_t t = 0; t < d.size(); ++t) {
        sums.largest =
            std::max(sums.largest, std::abs(a[t]) + std::abs(next[t]));
        d[t] -= next[t];
      }
      k.expect(ours[k.level - l], b, c, d, sums.largest);
      a = next;
    }
    k.expect(ours[0], b, c, a, sums.largest);
    add(weight[k.level + 1], a);
    k.expect(filtered, b, c, y, most * std::max(sums.largest, 5.0));
  });
}
