#include "support.h"

#include <signalllm/nn/block.h>

using namespace signalllm;
using namespace signalllm::test;

struct BlockTest : testing::Test {
  static WaveletTransformerBlockOptions small() {
    return WaveletTransformerBlockOptions(8, 4).max_length(16).terms(3).levels(
        2);
  }
};

TEST_F(BlockTest, DividesTheWidthInWholeHeads) {
  const auto width = [](double fraction) {
    return WaveletTransformerBlockOptions(96, 6)
        .attention_fraction(fraction)
        .attention_width();
  };
  EXPECT_EQ(width(0), 0);
  EXPECT_EQ(width(0.25), 32); // 1.5 heads
  EXPECT_EQ(width(0.5), 48);
  EXPECT_EQ(width(1), 96);
  WaveletTransformerBlock none(small().attention_fraction(0));
  EXPECT_TRUE(none->attention.is_empty());
  WaveletTransformerBlock all(small().attention_fraction(1));
  EXPECT_TRUE(all->fourier.is_empty());
}

TEST_F(BlockTest, AddsBothMixersAndTheFeedForward) {
  WaveletTransformerBlock b(small());
  b->to(torch::kDouble);
  const auto x = torch::randn({2, 9, 8}, torch::kDouble);
  const auto u = b->mixer_norm->forward(x);
  const auto m = x + b->attention->forward(u) + b->fourier->forward(u);
  expect_close(
      b->forward(x),
      m + b->feed_forward->forward(b->feed_forward_norm->forward(m)),
      1e-13);
}

TEST_F(BlockTest, LooksAtNoLaterInput) {
  for (const double fraction : {0.0, 0.25, 1.0}) {
    for (const auto kind :
         {SpectralKind::Channel,
          SpectralKind::CausalTime,
          SpectralKind::None}) {
      for (const auto type : {torch::kFloat, torch::kBFloat16}) {
        WaveletTransformerBlock b(
            small().attention_fraction(fraction).feed_forward(kind).dropout(
                0.3));
        b->to(type);
        for (const bool training : {true, false}) {
          b->train(training);
          expect_causal(
              [&](const torch::Tensor& in) {
                torch::manual_seed(1); // the same units drop
                return b->forward(in);
              },
              torch::randn({2, 21, 8}).to(type),
              true);
        }
      }
    }
  }
}

TEST_F(BlockTest, IncrementalEqualsForward) {
  torch::NoGradGuard no_grad;
  for (const double fraction : {0.0, 0.25, 1.0}) {
    WaveletTransformerBlock b(small().attention_fraction(fraction));
    b->to(torch::kDouble);
    const auto x = torch::randn({2, 30, 8}, torch::kDouble);
    WaveletTransformerBlockState state;
    std::vector<torch::Tensor> parts;
    for (int64_t t = 0; t < 30; t += 3) {
      parts.push_back(b->forward_incremental(x.slice(1, t, t + 3), state));
    }
    expect_close(torch::cat(parts, 1), b->forward(x), 1e-11);
  }
}

TEST_F(BlockTest, Gradients) {
  WaveletTransformerBlock b(small());
  b->to(torch::kDouble);
  const auto x = torch::randn({1, 6, 8}, torch::kDouble).requires_grad_();
  auto leaves = b->parameters();
  leaves.push_back(x);
  expect_gradients([&] { return b->forward(x); }, leaves);
}

TEST_F(BlockTest, SavesClonesAndPrints) {
  WaveletTransformerBlock b(small());
  const auto x = torch::randn({2, 9, 8});
  expect_save_and_clone(
      b, [&](WaveletTransformerBlockImpl& m) { return m.forward(x); });
  const auto text = printed(b);
  EXPECT_EQ(
      text.substr(0, text.find('\n')),
      "signalllm::WaveletTransformerBlock(dim=8, heads=4, attention_width=4, "
      "dropout=0, causal=true)(");
}

TEST_F(BlockTest, RefusesHeadsThatDoNotFit) {
  EXPECT_NE(
      message_of([] {
        WaveletTransformerBlock(10, 4);
      }).find("dim 10 cannot be divided into 4 heads"),
      std::string::npos);
}
