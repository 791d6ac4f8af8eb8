#include "support.h"

#include <signalllm/data/recall.h>

#include <map>
#include <set>

using namespace signalllm;
using namespace signalllm::test;

struct RecallTest : testing::Test {};

TEST_F(RecallTest, AsksForEveryKeyOnce) {
  const auto options =
      data::AssociativeRecallOptions().length(64).pairs(8).vocab_size(40);
  const auto batch = data::associative_recall(50, options);
  ASSERT_EQ(batch.inputs.sizes(), (std::vector<int64_t>{50, 64}));
  ASSERT_EQ(batch.positions.sizes(), (std::vector<int64_t>{50, 8}));
  for (int64_t row = 0; row < 50; ++row) {
    const auto token = [&](int64_t t) {
      return batch.inputs[row][t].item<int64_t>();
    };
    std::map<int64_t, int64_t> said;
    std::set<int64_t> values;
    for (int64_t i = 0; i < 8; ++i) {
      said[token(2 * i)] = token(2 * i + 1);
      values.insert(token(2 * i + 1));
      EXPECT_GE(token(2 * i), 1);
      EXPECT_LT(token(2 * i), 20);
      EXPECT_GE(token(2 * i + 1), 20);
      EXPECT_LT(token(2 * i + 1), 40);
    }
    EXPECT_EQ(said.size(), 8u);
    EXPECT_EQ(values.size(), 8u);
    std::set<int64_t> asked;
    for (int64_t i = 0; i < 8; ++i) {
      const auto t = batch.positions[row][i].item<int64_t>();
      EXPECT_TRUE(t >= 16 && t < 64 && t % 2 == 0) << t;
      EXPECT_EQ(said.at(token(t)), batch.answers[row][i].item<int64_t>());
      asked.insert(t);
    }
    EXPECT_EQ(asked.size(), 8u);
    for (int64_t t = 16; t < 64; ++t) {
      EXPECT_TRUE(asked.count(t) || token(t) == 0);
    }
  }
}

TEST_F(RecallTest, QueriesFallOffWithTheDistance) {
  // One query of 28 places: number g with a probability of about 1 / g.
  const auto options =
      data::AssociativeRecallOptions().length(58).pairs(1).vocab_size(8);
  const auto batch = data::associative_recall(40000, options);
  const auto first = (batch.positions == 2).to(torch::kFloat).mean();
  const auto third = (batch.positions == 6).to(torch::kFloat).mean();
  double sum = 0;
  for (int g = 1; g <= 28; ++g) {
    sum += std::pow(g, 0.01 - 1);
  }
  EXPECT_NEAR(first.item<double>(), 1 / sum, 0.01);
  EXPECT_NEAR(third.item<double>(), std::pow(3, 0.01 - 1) / sum, 0.01);
}

TEST_F(RecallTest, FillerMayBeRandom) {
  const auto options = data::AssociativeRecallOptions()
                           .length(64)
                           .pairs(2)
                           .vocab_size(40)
                           .random_filler(true);
  const auto batch = data::associative_recall(4, options);
  EXPECT_GT((batch.inputs.slice(1, 4) > 0).sum().item<int64_t>(), 4 * 40);
}

TEST_F(RecallTest, CopiesTenDigits) {
  const auto batch = data::copying(20, 40);
  EXPECT_TRUE(batch.inputs.slice(1, 0, 10).equal(batch.answers));
  EXPECT_TRUE(batch.inputs.slice(1, 10, 29).eq(0).all().item<bool>());
  EXPECT_TRUE(batch.inputs.slice(1, 29).eq(9).all().item<bool>());
  EXPECT_EQ(batch.answers.min().item<int64_t>(), 1);
  EXPECT_EQ(batch.answers.max().item<int64_t>(), 8);
  EXPECT_EQ(batch.positions[0][0].item<int64_t>(), 30);
  EXPECT_EQ(batch.positions[19][9].item<int64_t>(), 39);
}

TEST_F(RecallTest, RefusesWhatDoesNotFit) {
  EXPECT_NE(
      test::message_of([] {
        data::associative_recall(
            1, data::AssociativeRecallOptions().length(16).pairs(8));
      }).find("8 pairs in a length of 16"),
      std::string::npos);
  EXPECT_NE(
      test::message_of([] {
        data::associative_recall(
            1, data::AssociativeRecallOptions().vocab_size(128));
      }).find("vocab_size is 128"),
      std::string::npos);
  EXPECT_NE(
      test::message_of([] { data::copying(1, 21); }).find("rows of length 21"),
      std::string::npos);
}
