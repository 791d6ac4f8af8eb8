#include "ops/extension.h"

#include "ops/filter_bank.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

using namespace signalllm::ops;

namespace {

double extended(const std::vector<double>& x, Mode mode, int64_t i) {
  const auto row = extension_row(mode, i, static_cast<int64_t>(x.size()));
  double y = 0;
  for (int k = 0; k < row.count; ++k) {
    y += row.weight[k] * x[row.row[k]];
  }
  return y;
}

} // namespace

TEST(Extension, ByHand) {
  const std::vector<double> x{1, 2, 4};
  const auto row = [&](Mode mode) {
    std::vector<double> y;
    for (int64_t i = -4; i < 7; ++i) {
      y.push_back(extended(x, mode, i));
    }
    return y;
  };
  using V = std::vector<double>;
  EXPECT_EQ(row(Mode::zero), (V{0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 0}));
  EXPECT_EQ(row(Mode::constant), (V{1, 1, 1, 1, 1, 2, 4, 4, 4, 4, 4}));
  EXPECT_EQ(row(Mode::symmetric), (V{4, 4, 2, 1, 1, 2, 4, 4, 2, 1, 1}));
  EXPECT_EQ(row(Mode::periodic), (V{4, 1, 2, 4, 1, 2, 4, 1, 2, 4, 1}));
  EXPECT_EQ(row(Mode::smooth), (V{-3, -2, -1, 0, 1, 2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(row(Mode::periodization), (V{1, 2, 4, 4, 1, 2, 4, 4, 1, 2, 4}));
  EXPECT_EQ(row(Mode::reflect), (V{1, 2, 4, 2, 1, 2, 4, 2, 1, 2, 4}));
  EXPECT_EQ(
      row(Mode::antisymmetric), (V{4, -4, -2, -1, 1, 2, 4, -4, -2, -1, 1}));
  EXPECT_EQ(row(Mode::antireflect), (V{-5, -4, -2, 0, 1, 2, 4, 6, 7, 8, 10}));
}

TEST(Extension, RowsAgreeWithTheTensorForm) {
  // Two statements of the same table: for kernels, and for the ATen path.
  for (int mode = 0; mode < 9; ++mode) {
    const auto m = static_cast<Mode>(mode);
    for (int64_t n = m == Mode::reflect || m == Mode::antireflect ? 2 : 1;
         n < 12;
         ++n) {
      for (const int64_t taps : {2, 4, 10, 22}) {
        const auto x = at::randn({1, n, 1}, at::kDouble);
        const std::vector<double> v(
            x.data_ptr<double>(), x.data_ptr<double>() + n);
        const auto lo = at::randn({1, taps}, at::kDouble);
        const auto a = bank::analysis(x, lo, lo, m).first;
        ASSERT_EQ(a.size(1), coefficient_length(m, n, taps));
        for (int64_t o = 0; o < a.size(1); ++o) {
          double expected = 0;
          for (int64_t j = 0; j < taps; ++j) {
            expected += lo[0][j].item<double>() *
                extended(v, m, 2 * o + analysis_offset(m, taps) - j);
          }
          EXPECT_NEAR(a[0][o][0].item<double>(), expected, 1e-9 * taps * taps)
              << mode << " n=" << n << " taps=" << taps;
        }
      }
    }
  }
}

TEST(Extension, UnknownModeSaysTheNearest) {
  try {
    parse_mode("wavedec", "periodisation");
    FAIL();
  } catch (const c10::Error& e) {
    EXPECT_NE(
        std::string(e.what()).find("did you mean 'periodization'?"),
        std::string::npos);
  }
}
