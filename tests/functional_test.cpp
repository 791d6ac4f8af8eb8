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

namespace {

/// V and W of the next level by the definition.
std::pair<at::Tensor, at::Tensor> modwt_level(
    const at::Tensor& v,
    const signalllm::Wavelet& wavelet,
    int64_t dilation) {
  const int64_t n = v.size(0), taps = wavelet.length();
  auto next = at::zeros_like(v), detail = at::zeros_like(v);
  const auto from = v.accessor<double, 1>();
  auto to = next.accessor<double, 1>(),
       to_detail = detail.accessor<double, 1>();
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t i = ((t - dilation * k) % n + n) % n;
      to[t] += wavelet.dec_lo()[taps - 1 - k] / std::sqrt(2.) * from[i];
      to_detail[t] += wavelet.dec_hi()[taps - 1 - k] / std::sqrt(2.) * from[i];
    }
  }
  return {next, detail};
}

} // namespace

TEST(Functional, ModwtIsItsDefinition) {
  for (const char* name : {"haar", "db4", "sym5", "coif1", "bior2.2"}) {
    for (const int64_t n : {1, 2, 5, 13, 64}) {
      const auto x = at::randn({n}, at::kDouble);
      const auto coeffs = SF::modwt(x, name, 4, -1);
      ASSERT_EQ(coeffs.size(), 5);
      auto v = x;
      for (int64_t l = 0; l < 4; ++l) {
        const auto [next, detail] = modwt_level(v, name, int64_t{1} << l);
        EXPECT_TRUE(at::allclose(coeffs[4 - l], detail, 1e-10, 1e-12))
            << name << " " << n << " " << l;
        v = next;
      }
      EXPECT_TRUE(at::allclose(coeffs[0], v, 1e-10, 1e-12)) << name << " " << n;
      EXPECT_TRUE(at::allclose(SF::imodwt(coeffs, name, -1), x, 1e-9, 1e-9))
          << name << " " << n;
    }
  }
  const auto x = at::randn({2, 33, 3}, at::kDouble);
  double energy = 0;
  for (const auto& c : SF::modwt(x, "sym4", 3)) {
    energy += c.square().sum().item<double>();
  }
  EXPECT_NEAR(energy, x.square().sum().item<double>(), 1e-9);
  EXPECT_EQ(SF::modwt(x, "haar").size(), 6);
  EXPECT_THROW(SF::imodwt({}, "haar"), c10::Error);
  EXPECT_THROW(SF::imodwt({at::zeros({2, 0, 3})}, "haar"), c10::Error);
}

TEST(Functional, ModwtHasGradients) {
  const auto x = at::randn({7}, at::kDouble).requires_grad_();
  const auto coeffs = SF::modwt(x, "db2", 2, -1);
  const auto g = at::randn({3, 7}, at::kDouble);
  (coeffs[0] * g[0] + coeffs[1] * g[1] + coeffs[2] * g[2]).sum().backward();
  // An orthogonal transform of its kind: the gradient is the inverse's.
  EXPECT_TRUE(at::allclose(
      x.grad(), SF::imodwt({g[0], g[1], g[2]}, "db2", -1), 1e-9, 1e-9));
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
