#include <signalllm/training/schedule.h>

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace signalllm::training {
namespace {

ScheduleOptions options(const char* shape) {
  return ScheduleOptions().shape(shape).peak(1.0).floor(0.1).warmup(9).steps(
      109);
}

TEST(Schedule, WarmUpIsLinear) {
  for (const auto& shape : schedule_shapes()) {
    for (int64_t step = 0; step < 9; ++step) {
      EXPECT_NEAR(
          learning_rate(options(shape.c_str()), step),
          (step + 1) / 10.0,
          1e-12);
    }
    EXPECT_NEAR(learning_rate(options(shape.c_str()), 9), 1.0, 1e-12);
  }
}

TEST(Schedule, Shapes) {
  EXPECT_NEAR(learning_rate(options("cosine"), 59), 0.55, 1e-12);
  EXPECT_NEAR(
      learning_rate(options("cosine"), 34),
      0.1 + 0.9 * 0.8535533905932737,
      1e-12);
  EXPECT_NEAR(learning_rate(options("linear"), 59), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(options("linear"), 84), 0.325, 1e-12);
  EXPECT_NEAR(learning_rate(options("constant"), 84), 1.0, 1e-12);
  for (const int64_t step : {109, 110, 1'000'000}) { // and stays there
    EXPECT_NEAR(learning_rate(options("cosine"), step), 0.1, 1e-12);
    EXPECT_NEAR(learning_rate(options("linear"), step), 0.1, 1e-12);
  }
}

TEST(Schedule, WarmUpStableDecay) {
  const auto wsd = options("wsd"); // decays over 22 steps, from 87 on
  for (const int64_t step : {9, 50, 86, 87}) {
    EXPECT_EQ(learning_rate(wsd, step), 1.0) << step;
  }
  EXPECT_NEAR(
      learning_rate(wsd, 88), 0.1 + 0.9 * (1 - std::sqrt(1 / 22.0)), 1e-12);
  EXPECT_NEAR(learning_rate(wsd, 98), 0.1 + 0.9 * (1 - std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(
      learning_rate(wsd, 108), 0.1 + 0.9 * (1 - std::sqrt(21 / 22.0)), 1e-12);
  for (const int64_t step : {109, 110, 1'000'000}) {
    EXPECT_NEAR(learning_rate(wsd, step), 0.1, 1e-12);
  }
}

TEST(Schedule, TheStableRateIsThatOfAnyLength) {
  const auto longer = options("wsd").steps(1009);
  for (int64_t step = 0; step < 87; ++step) {
    EXPECT_EQ(learning_rate(longer, step), learning_rate(options("wsd"), step));
  }
  EXPECT_EQ(learning_rate(longer, 109), 1.0); // a run that had ended goes on
}

TEST(Schedule, TheDecayBeginsAfterTheRise) {
  const auto all = options("wsd").decay_fraction(1);
  EXPECT_NEAR(learning_rate(all, 8), 0.9, 1e-12);
  EXPECT_EQ(learning_rate(all, 9), 1.0);
  EXPECT_NEAR(learning_rate(all, 34), 0.1 + 0.9 * (1 - std::sqrt(0.25)), 1e-12);
  EXPECT_EQ(learning_rate(options("wsd").decay_fraction(1e-9), 108), 1.0);
  for (const double fraction : {0.0, -0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(
        learning_rate(options("wsd").decay_fraction(fraction), 50), c10::Error);
  }
}

TEST(Schedule, DegenerateLengths) {
  for (const auto& shape : schedule_shapes()) {
    const auto none =
        ScheduleOptions().shape(shape).peak(1).floor(1).warmup(0).steps(0);
    EXPECT_EQ(learning_rate(none, 0), 1);
    const auto all_warmup =
        ScheduleOptions().shape(shape).peak(1).warmup(10).steps(5);
    EXPECT_GT(learning_rate(all_warmup, 0), 0);
  }
  EXPECT_THROW(learning_rate(options("cubic"), 50), c10::Error);
}

} // namespace
} // namespace signalllm::training
