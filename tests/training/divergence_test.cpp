#include "training/divergence.h"

#include "messages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace signalllm::training {
namespace {

/// The step (from 1) at which these losses, one after another, are trouble.
int64_t trouble_at(const std::vector<double>& losses, double factor) {
  std::vector<double> before;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto step = static_cast<int64_t>(i) + 1;
    if (!loss_trouble(before, losses[i], step, factor).empty()) {
      return step;
    }
    before.push_back(losses[i]);
    if (before.size() > remembered_losses) {
      before.erase(before.begin());
    }
  }
  return 0;
}

/// A run that falls from 5.5 to 1.5 nats and wavers, then `more`.
std::vector<double> run_with(const std::vector<double>& more) {
  std::vector<double> losses;
  for (int i = 0; i < 300; ++i) {
    losses.push_back(1.5 + 4 * std::exp(-i / 40.0) + 0.2 * std::sin(i * 1.7));
  }
  losses.insert(losses.end(), more.begin(), more.end());
  return losses;
}

TEST(Divergence, ThreeHighLossesOfFive) {
  EXPECT_EQ(trouble_at(run_with({}), 2), 0);
  EXPECT_EQ(trouble_at(run_with({9, 1.5, 9, 1.5, 1.5, 1.5, 9}), 2), 0);
  EXPECT_EQ(trouble_at(run_with({9, 1.5, 9, 9}), 2), 304);
  EXPECT_EQ(trouble_at(run_with({4, 4, 4, 4}), 2), 303);
  EXPECT_EQ(trouble_at(run_with({4, 4, 4, 4, 4}), 3), 0);
  EXPECT_EQ(trouble_at(run_with({9, 9, 9, 9, 9}), 0), 0); // off
}

TEST(Divergence, SmallLossesAndShortRunsMayWaver) {
  std::vector<double> small(200, 0.01);
  small.insert(small.end(), 20, 0.5);
  EXPECT_EQ(trouble_at(small, 2), 0);
  std::vector<double> young(20, 1.5);
  young.insert(young.end(), 2, 9);
  EXPECT_EQ(trouble_at(young, 2), 0);
  young.insert(young.end(), 3, 9);
  EXPECT_EQ(trouble_at(young, 2), 25); // 20 and the four before it are known
}

TEST(Divergence, NotFiniteAtOnce) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {nan, -nan, HUGE_VAL}) {
    EXPECT_EQ(trouble_at({5, 5, bad}, 0), 3);
  }
  EXPECT_TRUE(contains(loss_trouble({}, -nan, 7, 0), "step 7 is not finite"));
}

} // namespace
} // namespace signalllm::training
