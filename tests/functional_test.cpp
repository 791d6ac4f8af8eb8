#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace SF = signalllm::functional;

TEST(Functional, LengthsAreThoseOfPyWavelets) {
  EXPECT_EQ(SF::max_level(1000, "db4"), 7);
  EXPECT_EQ(SF::max_level(6, 8), 0);
  EXPECT_EQ(SF::max_level(7, 8), 0);
  EXPECT_EQ(SF::max_level(14, 8), 1);
  EXPECT_EQ(SF::dwt_coeff_len(100, 8, "reflect"), 53);
  EXPECT_EQ(SF::dwt_coeff_len(101, 8, "periodization"), 51);
  EXPECT_EQ(
      SF::wavedec_lengths(64, 8, 3, "reflect"),
      (std::vector<int64_t>{14, 14, 21, 35}));
  EXPECT_EQ(
      SF::wavedec_lengths(100, 8, 3, "periodization"),
      (std::vector<int64_t>{13, 13, 25, 50}));
  EXPECT_THROW(SF::wavedec_lengths(0, 8, 1, "zero"), c10::Error);
  EXPECT_THROW(SF::dwt_coeff_len(10, 8, "zerro"), c10::Error);
}

TEST(Functional, HaarByHand) {
  const auto x = at::tensor({1., 3., 5., 9.}, at::kDouble);
  const auto [a, d] = SF::dwt(x, "haar", "zero", -1);
  const double r = std::sqrt(0.5);
  EXPECT_TRUE(at::allclose(a, at::tensor({4., 14.}, at::kDouble) * r));
  EXPECT_TRUE(at::allclose(d, at::tensor({-2., -4.}, at::kDouble) * r));
  EXPECT_TRUE(at::allclose(SF::idwt(a, d, "haar", "zero", -1), x));
}

TEST(Functional, OddLengthsComeBackWithoutTrimming) {
  for (const auto& mode : signalllm::modes()) {
    for (const int64_t n : {2, 7, 33, 64}) {
      const auto x = at::randn({2, n, 3}, at::kDouble);
      const auto coeffs = SF::wavedec(x, "db3", 3, mode);
      const auto y = SF::waverec(coeffs, "db3", mode, -2, n);
      EXPECT_TRUE(at::allclose(x, y, 1e-9, 1e-9)) << mode << " " << n;
    }
  }
  const auto coeffs = SF::wavedec(at::randn({1, 33, 1}), "db3", 3);
  EXPECT_THROW(SF::waverec(coeffs, "db3", "reflect", -2, 32), c10::Error);
}

TEST(Functional, CausalInverseIsTheSum) {
  const auto x = at::randn({2, 50, 4}, at::kDouble);
  const auto lo = at::randn({4, 3}, at::kDouble);
  EXPECT_TRUE(
      at::allclose(SF::causal_waverec(SF::causal_wavedec(x, lo, 5)), x));
}

TEST(Functional, HalfInputKeepsFloatFilters) {
  const auto x = at::randn({2, 64, 4}).to(at::kBFloat16);
  const auto coeffs = SF::wavedec(x, "db4", 2);
  EXPECT_EQ(coeffs[0].scalar_type(), at::kBFloat16);
  const auto exact = SF::wavedec(x.to(at::kDouble), "db4", 2);
  for (size_t i = 0; i < coeffs.size(); ++i) {
    const auto error = (coeffs[i].to(at::kDouble) - exact[i]).abs();
    // One rounding of the result: half a unit in the last place of bfloat16.
    EXPECT_TRUE((error <= exact[i].abs() * 0x1p-8 + 1e-5).all().item<bool>());
  }
}
