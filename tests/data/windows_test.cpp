#include <signalllm/data/windows.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace signalllm::data {
namespace {

TEST(Windows, RandomRowsDependOnSeedAndNumberOnly) {
  const RandomWindows windows(at::arange(1000, at::kInt), 16, 7);
  const auto batch = windows.rows(40, 8);
  EXPECT_EQ(batch.inputs.sizes(), (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(batch.inputs.scalar_type(), at::kLong);
  EXPECT_TRUE(batch.targets.equal(batch.inputs + 1));
  const auto again = RandomWindows(at::arange(1000, at::kInt), 16, 7);
  const auto halves =
      at::cat({again.rows(40, 4).inputs, again.rows(44, 4).inputs});
  EXPECT_TRUE(halves.equal(batch.inputs));
  const RandomWindows other(at::arange(1000, at::kInt), 16, 8);
  EXPECT_FALSE(other.rows(40, 8).inputs.equal(batch.inputs));
}

TEST(Windows, RandomPlacesAreUniform) {
  // 84 places of 100 tokens: chi-squared with 83 degrees of freedom has mean
  // 83 and standard deviation 12.9.
  const RandomWindows windows(at::arange(100, at::kInt), 16, 1);
  const auto starts = windows.rows(0, 8400).inputs.select(1, 0);
  std::vector<int> counts(84);
  for (int64_t i = 0; i < starts.numel(); ++i) {
    ++counts.at(starts[i].item<int64_t>());
  }
  double chi_squared = 0;
  for (const int count : counts) {
    chi_squared += (count - 100.0) * (count - 100.0) / 100.0;
  }
  EXPECT_LT(chi_squared, 83 + 4 * 12.9);
  EXPECT_GT(chi_squared, 83 - 4 * 12.9);
}

TEST(Windows, ConsecutiveOnesCoverEverythingOnce) {
  for (const int64_t length : {9, 10, 16, 17, 18, 33}) {
    const ConsecutiveWindows windows(at::arange(length, at::kInt), 8);
    EXPECT_EQ(windows.size(), (length - 1) / 8);
    const auto batch = windows.rows(0, 100);
    EXPECT_TRUE(batch.targets.reshape({-1}).equal(
        at::arange(1, windows.size() * 8 + 1)));
    EXPECT_TRUE(
        batch.inputs.reshape({-1}).equal(at::arange(windows.size() * 8)));
    EXPECT_THROW(windows.rows(windows.size(), 1), c10::Error);
  }
}

TEST(Windows, TooShortATextIsRefused) {
  EXPECT_NO_THROW(RandomWindows(at::arange(9, at::kInt), 8, 0).rows(0, 3));
  try {
    RandomWindows(at::arange(8, at::kInt), 8, 0);
    FAIL();
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    EXPECT_NE(message.find("8 tokens"), std::string::npos) << message;
    EXPECT_NE(message.find("at least 9"), std::string::npos) << message;
  }
  EXPECT_THROW(ConsecutiveWindows(at::arange(8, at::kInt), 8), c10::Error);
  EXPECT_THROW(RandomWindows(at::arange(8, at::kInt), 0, 0), c10::Error);
  EXPECT_THROW(RandomWindows(at::zeros({4, 4}, at::kInt), 2, 0), c10::Error);
  EXPECT_THROW(RandomWindows(at::zeros({40}), 2, 0), c10::Error);
}

} // namespace
} // namespace signalllm::data
