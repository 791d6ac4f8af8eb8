#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace SF = signalllm::functional;
using signalllm::Wavelet;

namespace {

double distance(
    const std::vector<double>& a,
    const std::vector<double>& b,
    double sign = 1) {
  EXPECT_EQ(a.size(), b.size());
  double most = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    most = std::max(most, std::abs(a[i] - sign * b[i]));
  }
  return most;
}

} // namespace

RC_GTEST_PROP(Lifting, AnyStepsReconstruct, ()) {
  const int64_t count = *rc::gen::inRange(1, 6);
  const int64_t width = *rc::gen::inRange(1, 5);
  const double scale = *rc::gen::inRange(2, 30) / 10.0;
  const auto steps = at::rand({count, width}, at::kDouble) * 2 - 1;
  const auto wavelet = SF::lifting_wavelet(steps, scale);
  RC_ASSERT(wavelet.length() % 2 == 0);
  const double size = std::pow(1.0 + width, count);
  RC_ASSERT(wavelet.reconstruction_error() < 1e-13 * size * size);
}

RC_GTEST_PROP(Lifting, TheBankIsWhatTheStepsSay, ()) {
  // Against the steps themselves on a periodic signal.
  const int64_t count = *rc::gen::inRange(1, 5);
  const int64_t width = *rc::gen::inRange(1, 4);
  const int64_t n = 64;
  const auto steps = at::randn({count, width}, at::kDouble);
  const auto x = at::randn({n}, at::kDouble);
  auto e = x.slice(0, 0, n, 2).clone(), o = x.slice(0, 1, n, 2).clone();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const auto w = steps[i][j];
      if (i % 2 == 0) {
        o = o - w * e.roll(-(j - (width - 1) / 2), 0);
      } else {
        e = e + w * o.roll(-(j - width / 2), 0);
      }
    }
  }
  const auto wavelet = SF::lifting_wavelet(steps, 1);
  const auto [a, d] = SF::dwt(x, wavelet, "periodization", -1);
  // The bank is the same but for a shift that keeps it causal.
  double best = 1e9;
  for (int64_t s = -16; s <= 16; ++s) {
    best = std::min(
        best,
        (at::cat({a.roll(s, 0), d.roll(s, 0)}) - at::cat({e, o}))
            .abs()
            .max()
            .item<double>());
  }
  RC_ASSERT(best < 1e-9);
}

TEST(Lifting, KnownBanks) {
  const auto legall = SF::lifting_wavelet(
      at::tensor({0.5, 0.5, 0.25, 0.25}, at::kDouble).view({2, 2}),
      std::sqrt(2.0));
  const Wavelet bior22("bior2.2");
  EXPECT_LT(distance(legall.dec_lo(), bior22.dec_lo()), 1e-12);
  EXPECT_LT(distance(legall.rec_lo(), bior22.rec_lo()), 1e-12);
  EXPECT_LT(distance(legall.dec_hi(), bior22.dec_hi(), -1), 1e-12);
  EXPECT_LT(distance(legall.rec_hi(), bior22.rec_hi(), -1), 1e-12);
  // CDF 9/7 by the factors of Daubechies and Sweldens.
  const double p[] = {
      1.586134342059924,
      -0.052980118572961,
      -0.882911075530934,
      0.443506852043971};
  const auto steps =
      at::tensor({p[0], p[0], p[1], p[1], p[2], p[2], p[3], p[3]}, at::kDouble)
          .view({4, 2});
  const auto cdf = SF::lifting_wavelet(steps, 1.149604398860241);
  const Wavelet bior44("bior4.4");
  EXPECT_LT(distance(cdf.dec_lo(), bior44.dec_lo()), 1e-9);
  EXPECT_LT(distance(cdf.rec_lo(), bior44.rec_lo()), 1e-9);
}

TEST(Lifting, LearnsOneBankAChannel) {
  const auto steps = at::randn({3, 2, 2}, at::kDouble).requires_grad_();
  const auto scale = (at::rand({3}, at::kDouble) + 0.5).requires_grad_();
  const auto bank = SF::lifting_filters(steps, scale);
  const auto x = at::randn({2, 21, 3}, at::kDouble);
  const auto coeffs =
      signalllm::ops::wavedec(x, bank.dec_lo, bank.dec_hi, 2, "symmetric");
  const auto y =
      signalllm::ops::waverec(coeffs, bank.rec_lo, bank.rec_hi, "symmetric");
  EXPECT_TRUE(at::allclose(y.narrow(1, 0, 21), x, 1e-8, 1e-8));
  coeffs[0].square().sum().backward();
  EXPECT_GT(steps.grad().abs().max().item<double>(), 0);
  EXPECT_GT(scale.grad().abs().min().item<double>(), 0);
  EXPECT_THROW(SF::lifting_filters(at::ones({3}), scale), c10::Error);
  EXPECT_THROW(
      SF::lifting_filters(at::ones({4, 2, 2}, at::kDouble), scale), c10::Error);
  EXPECT_THROW(SF::lifting_wavelet(at::ones({2, 2}), 0), c10::Error);
}
