#include "support.h"

#include <signalllm/nn/generate.h>

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <limits>

using namespace signalllm;
using namespace signalllm::test;

struct GenerateTest : testing::Test {};

TEST_F(GenerateTest, TemperatureZeroIsGreedy) {
  const auto logits = torch::randn({5, 9}, torch::kDouble);
  const auto next = sample(logits, GenerateOptions().temperature(0));
  EXPECT_TRUE(next.equal(logits.argmax(-1)));
}

TEST_F(GenerateTest, DrawsWithTheRightFrequencies) {
  const auto logits = torch::randn({1, 6});
  constexpr int64_t draws = 60000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    const auto next = sample(
        logits.expand({draws, 6}), GenerateOptions().temperature(temperature));
    const auto counts = next.bincount({}, 6).to(torch::kDouble) / draws;
    const auto expected =
        (logits / temperature).softmax(-1).view({6}).to(torch::kDouble);
    // Five standard deviations.
    const auto bound = (expected * (1 - expected) / draws).sqrt() * 5;
    EXPECT_TRUE(((counts - expected).abs() <= bound).all().item<bool>());
  }
}

TEST_F(GenerateTest, NeverDrawsTheImpossible) {
  auto logits = torch::randn({20000, 8});
  const auto never = -std::numeric_limits<float>::infinity();
  for (const int64_t i : {0, 3, 7}) {
    logits.select(1, i).fill_(never);
  }
  const auto counts = sample(logits, {}).bincount({}, 8);
  for (const int64_t i : {0, 3, 7}) {
    EXPECT_EQ(counts[i].item<int64_t>(), 0);
  }
  EXPECT_GT(counts[6].item<int64_t>(), 0);
}

TEST_F(GenerateTest, TopKAndTopPKeepTheLikeliest) {
  const auto probabilities =
      torch::tensor({0.05, 0.4, 0.1, 0.3, 0.15}, torch::kFloat);
  const auto logits = probabilities.log().expand({20000, 5});
  const auto drawn = [&](const GenerateOptions& options) {
    return sample(logits, options).bincount({}, 5) > 0;
  };
  const auto is = [](std::vector<int64_t> values) {
    return torch::tensor(values, torch::kLong).to(torch::kBool);
  };
  EXPECT_TRUE(drawn({}).equal(is({1, 1, 1, 1, 1})));
  EXPECT_TRUE(drawn(GenerateOptions().top_k(1)).equal(is({0, 1, 0, 0, 0})));
  EXPECT_TRUE(drawn(GenerateOptions().top_k(3)).equal(is({0, 1, 0, 1, 1})));
  EXPECT_TRUE(drawn(GenerateOptions().top_k(9)).equal(is({1, 1, 1, 1, 1})));
  EXPECT_TRUE(drawn(GenerateOptions().top_p(0.3)).equal(is({0, 1, 0, 0, 0})));
  EXPECT_TRUE(drawn(GenerateOptions().top_p(0.6)).equal(is({0, 1, 0, 1, 0})));
  EXPECT_TRUE(drawn(GenerateOptions().top_p(0.9)).equal(is({0, 1, 1, 1, 1})));
}

TEST_F(GenerateTest, FollowsItsGenerator) {
  const auto logits = torch::randn({50, 9});
  const auto draw = [&](uint64_t seed) {
    return sample(logits, {}, at::detail::createCPUGenerator(seed));
  };
  EXPECT_TRUE(draw(1).equal(draw(1)));
  EXPECT_FALSE(draw(1).equal(draw(2)));
}

TEST_F(GenerateTest, RefusesWhatMakesNoSense) {
  const auto logits = torch::randn({1, 4});
  const auto message = [&](const GenerateOptions& options) {
    return message_of([&] { sample(logits, options); });
  };
  EXPECT_NE(
      message(GenerateOptions().top_p(0)).find("top_p is 0, allowed is 0 <"),
      std::string::npos);
  EXPECT_NE(
      message(GenerateOptions().temperature(-1)).find("temperature is -1"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        sample(torch::full({1, 3}, NAN), {});
      }).find("NaN"),
      std::string::npos);
}
