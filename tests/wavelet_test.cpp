#include <signalllm/wavelet.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

using signalllm::Wavelet;
using signalllm::wavelist;

namespace {

/// How closely a table's own numbers hold: most are given to 12 digits or
/// more, these are not.
double table_error(const std::string& name) {
  if (name == "dmey") {
    return 5e-3;
  }
  return name == "sym20" ? 3e-11 : 1e-11;
}

double sum(const std::vector<double>& v, bool alternating = false) {
  double s = 0;
  for (size_t k = 0; k < v.size(); ++k) {
    s += alternating && k % 2 ? -v[k] : v[k];
  }
  return s;
}

/// sum_k (-1)^k k^p v[k], the p-th moment of the high-pass of a low-pass v.
double moment(const std::vector<double>& v, int p) {
  double s = 0, scale = 0;
  const double middle = (v.size() - 1) / 2.0;
  for (size_t k = 0; k < v.size(); ++k) {
    const double term = std::pow(k - middle, p) * v[k];
    s += k % 2 ? -term : term;
    scale += std::abs(term);
  }
  return s / scale;
}

} // namespace

TEST(Wavelet, ListsWhatPyWaveletsLists) {
  EXPECT_EQ(wavelist().size(), 106);
  EXPECT_EQ(wavelist("db").size(), 38);
  EXPECT_EQ(wavelist("sym").size(), 19);
  EXPECT_EQ(wavelist("coif").size(), 17);
  EXPECT_EQ(wavelist("bior").size(), 15);
  EXPECT_EQ(wavelist("rbio").size(), 15);
  EXPECT_EQ(wavelist("haar"), std::vector<std::string>{"haar"});
  EXPECT_THROW(wavelist("dob"), c10::Error);
}

TEST(Wavelet, TablesSumAsLowAndHighPass) {
  for (const auto& name : wavelist()) {
    const Wavelet w(name);
    const double e = table_error(name);
    EXPECT_EQ(w.length() % 2, 0) << name;
    EXPECT_NEAR(sum(w.dec_lo()), std::numbers::sqrt2, e) << name;
    EXPECT_NEAR(sum(w.rec_lo()), std::numbers::sqrt2, e) << name;
    EXPECT_NEAR(sum(w.dec_hi()), 0, e) << name;
    EXPECT_NEAR(sum(w.rec_hi()), 0, e) << name;
  }
}

TEST(Wavelet, TablesReconstruct) {
  for (const auto& name : wavelist()) {
    EXPECT_LE(Wavelet(name).reconstruction_error(), table_error(name)) << name;
  }
}

TEST(Wavelet, OrthogonalFamiliesAreOrthonormalToTheirEvenShifts) {
  for (const auto& name : wavelist()) {
    const bool biorthogonal =
        name.starts_with("bior") || name.starts_with("rbio");
    const bool both = name == "bior1.1" || name == "rbio1.1";
    EXPECT_EQ(
        Wavelet(name).is_orthogonal(name == "dmey" ? 5e-3 : 1e-10),
        !biorthogonal || both)
        << name;
  }
}

TEST(Wavelet, DaubechiesHaveTheirVanishingMoments) {
  for (int n = 1; n <= 10; ++n) {
    const Wavelet w("db" + std::to_string(n));
    EXPECT_EQ(w.length(), 2 * n);
    for (int p = 0; p < n; ++p) {
      EXPECT_NEAR(moment(w.dec_lo(), p), 0, 1e-8) << w.name() << " " << p;
    }
    EXPECT_GT(std::abs(moment(w.dec_lo(), n)), 1e-6) << w.name();
  }
}

TEST(Wavelet, KnownNumbers) {
  // (1 + sqrt 3) / (4 sqrt 2), Daubechies 1988.
  EXPECT_NEAR(
      Wavelet("db2").rec_lo()[0],
      (1 + std::sqrt(3)) / (4 * std::numbers::sqrt2),
      1e-15);
  EXPECT_NEAR(
      Wavelet("bior2.2").dec_lo()[3], 3 / (2 * std::numbers::sqrt2), 1e-15);
}

TEST(Wavelet, UnknownNameSaysTheNearest) {
  try {
    Wavelet("dbb4");
    FAIL();
  } catch (const c10::Error& e) {
    EXPECT_NE(
        std::string(e.what()).find("'dbb4' is unknown; did you mean 'db4'?"),
        std::string::npos);
  }
}

TEST(Wavelet, FromFiltersWantsOneEvenLength) {
  EXPECT_THROW(
      Wavelet::from_filters({1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
      c10::Error);
  EXPECT_THROW(
      Wavelet::from_filters({1, 1}, {1, 1}, {1, 1}, {1, 1, 1, 1}), c10::Error);
}

TEST(Wavelet, AnyAnglesReconstruct) {
  std::mt19937 generator(0);
  std::uniform_real_distribution<double> angle(
      -std::numbers::pi, std::numbers::pi);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> angles(1 + trial % 10);
    for (auto& a : angles) {
      a = angle(generator);
    }
    const auto w = Wavelet::from_angles(angles);
    EXPECT_LE(w.reconstruction_error(), 1e-14);
    EXPECT_TRUE(w.is_orthogonal(1e-14));
  }
}

TEST(Wavelet, AnglesAndBack) {
  for (const auto& name : wavelist()) {
    const Wavelet w(name);
    if (name == "dmey" || !w.is_orthogonal(1e-10)) {
      continue;
    }
    if (name.starts_with("db") && w.length() > 44) {
      EXPECT_THROW(w.angles(), c10::Error) << name;
      continue;
    }
    const auto back = Wavelet::from_angles(w.angles());
    for (int64_t k = 0; k < w.length(); ++k) {
      EXPECT_NEAR(back.rec_lo()[k], w.rec_lo()[k], 1e-8) << name;
      EXPECT_NEAR(back.dec_hi()[k], w.dec_hi()[k], 1e-8) << name;
    }
  }
  EXPECT_NEAR(Wavelet("db2").angles()[0], std::numbers::pi / 3, 1e-12);
  EXPECT_THROW(Wavelet("bior2.2").angles(), c10::Error);
}

TEST(Wavelet, LatticeFiltersAreDifferentiable) {
  const auto angles = at::randn({3, 4}, at::kDouble).requires_grad_();
  const auto [h0, h1] = signalllm::lattice_filters(angles);
  EXPECT_EQ(h0.sizes(), at::IntArrayRef({3, 8}));
  // Rows stay orthonormal whatever the angles: the squared norm has no
  // gradient.
  h0.pow(2).sum().backward();
  EXPECT_LT(angles.grad().abs().max().item<double>(), 1e-12);
  EXPECT_LT((h0 * h1).sum(-1).abs().max().item<double>(), 1e-14);
}
