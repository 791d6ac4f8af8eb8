#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace SF = signalllm::functional;

namespace {

double shrunk(double x, double value, const std::string& kind) {
  const double m = std::abs(x);
  if (kind == "hard") {
    return m >= value ? x : 0;
  }
  if (m <= value) {
    return 0;
  }
  return kind == "soft" ? std::copysign(m - value, x) : x - value * value / x;
}

} // namespace

RC_GTEST_PROP(Threshold, FollowsItsFormula, ()) {
  const auto kind = *rc::gen::element(
      std::string("soft"), std::string("hard"), std::string("garrote"));
  const double value = *rc::gen::inRange(0, 50) / 10.0;
  auto numbers = *rc::gen::container<std::vector<double>>(rc::gen::map(
      rc::gen::inRange(-100, 101), [](int i) { return i / 10.0; }));
  numbers.push_back(value); // the edge itself
  const auto x = at::tensor(numbers, at::kDouble);
  const auto y = SF::threshold(x, value, kind);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double ours = y[static_cast<int64_t>(i)].item<double>();
    RC_ASSERT(std::abs(ours - shrunk(numbers[i], value, kind)) < 1e-12);
  }
}

TEST(Threshold, GradientsReachInputAndValue) {
  const auto x =
      at::tensor({-3., -0.5, 0., 0.4, 2.}, at::kDouble).requires_grad_();
  const auto value = at::scalar_tensor(1., at::kDouble).requires_grad_();
  SF::threshold(x, value, "soft").sum().backward();
  EXPECT_TRUE(
      at::equal(x.grad(), at::tensor({1., 0., 0., 0., 1.}, at::kDouble)));
  EXPECT_EQ(value.grad().item<double>(), 0); // one up, one down
  x.mutable_grad() = at::Tensor();
  SF::threshold(x, value, "garrote").sum().backward();
  EXPECT_TRUE(at::allclose(
      x.grad(), at::tensor({1 + 1. / 9, 0., 0., 0., 1.25}, at::kDouble)));
}

TEST(Threshold, ErrorsNameWhatIsAllowed) {
  const auto x = at::ones({3});
  EXPECT_THROW(SF::threshold(x, 1., "soggy"), c10::Error);
  EXPECT_THROW(SF::threshold(x, -1.), c10::Error);
  EXPECT_THROW(
      SF::denoise(at::ones({1, 8, 1}), "haar", 1, "soggy"), c10::Error);
}

TEST(Threshold, NoiseLevelOfTheNormalDistribution) {
  const auto level = SF::noise_level(3 * at::randn({2, 40000, 2}, at::kDouble));
  EXPECT_EQ(level.sizes(), (at::IntArrayRef{2, 1, 2}));
  EXPECT_TRUE(at::allclose(level, at::full_like(level, 3), 0.03));
  const auto even = at::tensor({1., -2., 3., 10.}, at::kDouble);
  EXPECT_NEAR(SF::noise_level(even, 0).item<double>(), 2.5 / 0.6745, 1e-12);
}

TEST(Threshold, DenoisingRemovesNoiseAndKeepsTheSignal) {
  const auto t = at::arange(1001, at::kDouble) / 1001;
  const auto clean = (at::sin(12 * t) + (t > 0.4) * 2.).view({1, -1, 1});
  const auto noisy = clean + 0.2 * at::randn({3, 1001, 2}, at::kDouble);
  const auto error = [&](const at::Tensor& y) {
    return (y - clean).square().mean().item<double>();
  };
  for (const char* kind : {"soft", "hard", "garrote"}) {
    const auto y = SF::denoise(noisy, "sym4", 5, kind);
    EXPECT_EQ(y.sizes(), noisy.sizes());
    EXPECT_LT(error(y), error(noisy) / 4) << kind;
  }
  EXPECT_TRUE(at::allclose(
      SF::denoise(noisy, "sym4", 4, "hard", 0.), noisy, 1e-9, 1e-9));
  EXPECT_TRUE(at::equal(SF::denoise(noisy, "sym4", 0), noisy));
}
