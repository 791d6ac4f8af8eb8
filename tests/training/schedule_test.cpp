#include <signalllm/training/schedule.h>

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <numeric>

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
