#include "support.h"

#include <signalllm/nn/stochastic_transform.h>

using namespace signalllm;
using namespace signalllm::test;

struct StochasticTransformTest : testing::Test {};

TEST_F(StochasticTransformTest, IsWithoutBiasAndKeepsItsBound) {
  for (const bool causal : {true, false}) {
    StochasticTransform s(
        StochasticTransformOptions(0.7).wavelet("db2").causal(causal));
    const auto x = torch::randn({1, 32, 2}, torch::kDouble);
    const auto bound = s->error_bound(x).item<double>();
    constexpr int64_t draws = 4000;
    auto mean = torch::zeros_like(x);
    double power = 0;
    for (int64_t i = 0; i < draws; ++i) {
      const auto error = s->forward(x) - x;
      mean += error / static_cast<double>(draws);
      power += error.square().sum().item<double>() / draws;
    }
    // Four standard errors of the largest of 64 means, about.
    EXPECT_LT(mean.abs().max().item<double>(), 0.06);
    EXPECT_NEAR(std::sqrt(power), bound, 0.02 * bound);
    EXPECT_GT(bound, 1);
  }
}

TEST_F(StochasticTransformTest, DropsRowsOfDetailOnly) {
  StochasticTransform s(
      StochasticTransformOptions(0.5).wavelet("haar").level(1));
  // A constant has no details but at its start, where the past is zero.
  const auto flat = torch::ones({2, 20, 3});
  expect_close(s->forward(flat).slice(1, 1), flat.slice(1, 1), 1e-6);
  // Haar, one level: y = a + {0 or 2} d, all channels alike.
  const auto x = torch::randn({2, 20, 3}, torch::kDouble);
  const auto before =
      torch::cat({torch::zeros({2, 1, 3}), x.slice(1, 0, 19)}, 1);
  const auto ratio = ((s->forward(x) - (x + before) / 2) / ((x - before) / 2));
  const auto kept = ratio.select(2, 0);
  EXPECT_TRUE(
      ((kept.abs() < 1e-9) | ((kept - 2).abs() < 1e-9)).all().item<bool>());
  expect_close(ratio, kept.unsqueeze(2).expand_as(ratio), 1e-6);
  const auto share = (kept > 1).to(torch::kDouble).mean().item<double>();
  EXPECT_GT(share, 0.2);
  EXPECT_LT(share, 0.8);
}

TEST_F(StochasticTransformTest, IsTheIdentityInEvalMode) {
  StochasticTransform s(StochasticTransformOptions(0.5));
  s->eval();
  const auto x = torch::randn({2, 9, 3});
  EXPECT_TRUE(s->forward(x).equal(x));
  EXPECT_TRUE(StochasticTransform(StochasticTransformOptions(1.0))
                  ->forward(x)
                  .equal(x));
}

TEST_F(StochasticTransformTest, LooksAtNoLaterInput) {
  StochasticTransform s(StochasticTransformOptions(0.6).wavelet("sym4"));
  expect_causal(
      [&](const torch::Tensor& in) {
        torch::manual_seed(1); // the same rows drop
        return s->forward(in);
      },
      torch::randn({2, 30, 4}),
      false);
}

TEST_F(StochasticTransformTest, Gradients) {
  StochasticTransform s(StochasticTransformOptions(0.5));
  const auto x = torch::randn({1, 9, 2}, torch::kDouble).requires_grad_();
  expect_gradients(
      [&] {
        torch::manual_seed(3);
        return s->forward(x).tanh();
      },
      {x});
}

TEST_F(StochasticTransformTest, SavesClonesAndPrints) {
  StochasticTransform s(StochasticTransformOptions(0.5));
  const auto x = torch::randn({2, 9, 3});
  expect_save_and_clone(s, [&](StochasticTransformImpl& m) {
    torch::manual_seed(1);
    return m.forward(x);
  });
  EXPECT_NE(
      printed(s).find("signalllm::StochasticTransform(keep=0.5, wavelet=db2, "
                      "level=3, causal=true)"),
      std::string::npos);
}

TEST_F(StochasticTransformTest, RefusesWhatHasNoBound) {
  EXPECT_NE(
      message_of([] {
        StochasticTransform(StochasticTransformOptions(0.0));
      }).find("keep is 0, it must be greater than 0"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        StochasticTransform(StochasticTransformOptions(0.5).wavelet("bior2.2"));
      }).find("wavelet 'bior2.2' is not orthogonal"),
      std::string::npos);
}
