#include <signalllm/nn/flops.h>

#include <signalllm/nn/model.h>

#include <gtest/gtest.h>

#include <cmath>

namespace signalllm {
namespace {

TEST(Flops, AreThoseOfTheModelsParts) {
  // Width 16, of which 8 attend and 8 convolve; filters of 3 taps before both.
  SignalLLM model(SignalLLMOptions(11).dim(16).layers(2).heads(4));
  const double matrices =
      16 * 3 * 8 + 8 * 16 + 16 * 3 * 8 + 8 * 16 + 16 * 64 + 64 * 16;
  for (const int64_t length : {32, 128}) {
    const double attention = 4 * 8 * (length + 1) / 2.0;
    const double convolution = 15 * 8 * std::log2(2.0 * length);
    const double filters = 2 * 3 * (3 * 8 + 3 * 8);
    EXPECT_DOUBLE_EQ(
        training_flops(*model, length),
        3 *
            (2 * (2 * matrices + attention + convolution + filters) +
             2 * 11 * 16));
  }
}

TEST(Flops, CountABlockAsOftenAsItRuns) {
  const auto flops = [](int64_t layers, int64_t passes) {
    return training_flops(
        *SignalLLM(SignalLLMOptions(11).dim(16).layers(layers).passes(passes)),
        64);
  };
  EXPECT_DOUBLE_EQ(flops(4, 1), flops(2, 2));
  EXPECT_DOUBLE_EQ(flops(4, 3), flops(8, 1));
}

TEST(Flops, AWindowSeesTheTree) {
  EXPECT_EQ(mean_keys(16, 0), 8.5);
  EXPECT_EQ(mean_keys(8, 4), 4.5); // all of it
  // Of four chunks of 4 the third sees 2 nodes of two behind the window before
  // it, the fourth 4.
  EXPECT_EQ(mean_keys(16, 4), 2.5 + (0 + 4 + 6 + 8) / 4.0);
  EXPECT_LT(mean_keys(1 << 16, 64), 64 * (0.5 + 1 + 10));
  SignalLLMOptions options(11);
  options.dim(16).layers(1).heads(4).max_length(512).attention_fraction(1);
  const auto dense = training_flops(*SignalLLM(options), 512);
  const auto tree = training_flops(*SignalLLM(options.window(32)), 512);
  EXPECT_NEAR(
      dense - tree,
      3 * 4 * 16 * (mean_keys(512, 0) - mean_keys(512, 32)),
      1e-6);
}

} // namespace
} // namespace signalllm
