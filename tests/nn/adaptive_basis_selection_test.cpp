#include "nn/mixer_support.h"

#include <signalllm/nn/adaptive_basis_selection.h>
#include <signalllm/optimize.h>

using namespace signalllm;
using namespace signalllm::test;

struct AdaptiveBasisSelectionTest : testing::Test {
  static AdaptiveBasisSelection other_gains(bool causal) {
    AdaptiveBasisSelection a(
        AdaptiveBasisSelectionOptions(4).level(2).causal(causal));
    torch::NoGradGuard no_grad;
    a->gains.normal_();
    a->to(torch::kDouble);
    return a;
  }
};

TEST_F(AdaptiveBasisSelectionTest, StartsAsTheIdentity) {
  for (const bool causal : {true, false}) {
    for (const int64_t length : {1, 2, 7, 32, 33}) {
      AdaptiveBasisSelection a(AdaptiveBasisSelectionOptions(4).causal(causal));
      a->to(torch::kDouble);
      const auto x = torch::randn({2, length, 4}, torch::kDouble);
      expect_close(a->forward(x), x, 1e-10);
    }
  }
}

TEST_F(AdaptiveBasisSelectionTest, MixesTheEqualizedBases) {
  auto a = other_gains(true);
  const auto x = torch::randn({2, 19, 4}, torch::kDouble);
  const auto share = a->weights(x);
  expect_close(share.sum(-1), torch::ones({2, 19}), 1e-12);
  auto expected = torch::zeros_like(x);
  for (int64_t b = 0; b < 3; ++b) {
    WaveletTransform w(
        WaveletTransformOptions(Wavelet(a->options.wavelets()[b])).level(2));
    auto c = w->forward(x);
    for (int64_t j = 0; j < 3; ++j) {
      c[j] = c[j] * a->gains[b][j];
    }
    expected = expected + w->inverse(c, 19) * share.narrow(2, b, 1);
  }
  expect_close(a->forward(x), expected, 1e-12);
  EXPECT_GT(max_error(expected, x), 0.1);
}

TEST_F(AdaptiveBasisSelectionTest, LooksAtNoLaterInput) {
  auto a = other_gains(true);
  expect_causal(
      [&](const torch::Tensor& in) { return a->forward(in); },
      torch::randn({2, 40, 4}, torch::kDouble),
      false);
}

TEST_F(AdaptiveBasisSelectionTest, IncrementalEqualsForward) {
  torch::NoGradGuard no_grad;
  auto a = other_gains(true);
  const auto x = torch::randn({2, 50, 4}, torch::kDouble);
  expect_close(
      in_pieces<AdaptiveBasisSelectionState>(*a, x), a->forward(x), 1e-12);
}

TEST_F(AdaptiveBasisSelectionTest, SwappedItComputesTheSame) {
  for (const bool causal : {true, false}) {
    auto a = other_gains(causal);
    const auto x = torch::randn({2, 21, 4}, torch::kDouble);
    const auto before = a->forward(x);
    optimize_for_mps(a, torch::kCPU);
    EXPECT_NE(printed(a).find("MPSWaveletTransform"), std::string::npos);
    expect_close(a->forward(x), before, 1e-12);
  }
}

TEST_F(AdaptiveBasisSelectionTest, Gradients) {
  auto a = other_gains(true);
  auto leaves = a->parameters();
  const auto x = torch::randn({1, 11, 4}, torch::kDouble).requires_grad_();
  leaves.push_back(x);
  expect_gradients([&] { return a->forward(x); }, leaves);
}

TEST_F(AdaptiveBasisSelectionTest, SavesClonesAndPrints) {
  AdaptiveBasisSelection a(4);
  const auto x = torch::randn({2, 9, 4});
  expect_save_and_clone(
      a, [&](AdaptiveBasisSelectionImpl& m) { return m.forward(x); });
  EXPECT_NE(
      printed(a).find("signalllm::AdaptiveBasisSelection(channels=4, "
                      "wavelets=haar,db2,db4, level=3, causal=true)"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        a->forward(x.slice(2, 1));
      }).find("input has shape [2, 9, 3], it must be [batch, length, 4]"),
      std::string::npos);
}
