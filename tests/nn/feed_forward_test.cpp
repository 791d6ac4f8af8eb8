#include "support.h"

#include <signalllm/nn/feed_forward.h>

#include <algorithm>

using namespace signalllm;
using namespace signalllm::test;

struct FeedForwardTest : testing::Test {
  static std::vector<SpectralFeedForwardOptions> kinds() {
    return {
        SpectralFeedForwardOptions(4),
        SpectralFeedForwardOptions(4).hidden(7),
        SpectralFeedForwardOptions(4).kind(SpectralKind::None),
        SpectralFeedForwardOptions(4).kind(SpectralKind::CausalTime),
        SpectralFeedForwardOptions(4)
            .kind(SpectralKind::CausalWavelet)
            .levels(2)
            .filters(FilterTraining::Fixed)};
  }
};

TEST_F(FeedForwardTest, GainFiltersTheHiddenChannels) {
  for (const int64_t hidden : {7, 8}) {
    SpectralFeedForward f(SpectralFeedForwardOptions(4).hidden(hidden));
    f->to(torch::kDouble);
    torch::NoGradGuard no_grad;
    f->gain.normal_();
    const auto x = torch::randn({2, 5, 4}, torch::kDouble);
    // On the activations, as it is defined, instead of the weights.
    const auto h = torch::relu(f->in_proj->forward(x)).square();
    const auto filtered =
        torch::fft_irfft(torch::fft_rfft(h) * f->gain, hidden);
    expect_close(f->forward(x), f->out_proj->forward(filtered), 1e-12);
  }
}

TEST_F(FeedForwardTest, StartsAsTwoLinears) {
  SpectralFeedForward f(4);
  const auto x = torch::randn({2, 5, 4});
  expect_close(
      f->forward(x),
      f->out_proj->forward(torch::relu(f->in_proj->forward(x)).square()),
      1e-6);
}

TEST_F(FeedForwardTest, FiltersInTimeBehindTheFirstMatrix) {
  SpectralFeedForward f(
      SpectralFeedForwardOptions(4).kind(SpectralKind::CausalTime));
  f->to(torch::kDouble);
  const auto x = torch::randn({2, 5, 4}, torch::kDouble);
  const auto h = f->in_proj->forward(x);
  auto filtered = torch::zeros_like(h);
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t k = 0; k <= std::min<int64_t>(t, 2); ++k) {
      filtered.select(1, t) +=
          h.select(1, t - k) * f->filter->taps.select(1, k);
    }
  }
  expect_close(
      f->forward(x),
      f->out_proj->forward(torch::relu(filtered).square()),
      1e-13);
}

TEST_F(FeedForwardTest, LooksAtNoLaterInput) {
  for (const auto& options : kinds()) {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
      SpectralFeedForward f(options);
      f->to(type);
      expect_causal(
          [&](const torch::Tensor& in) { return f->forward(in); },
          torch::randn({2, 9, 4}).to(type),
          false);
    }
  }
}

TEST_F(FeedForwardTest, IncrementalEqualsForward) {
  for (const auto& options : kinds()) {
    SpectralFeedForward f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({2, 9, 4}, torch::kDouble);
    SpectralFeedForwardState state;
    const auto a = f->forward_incremental(x.slice(1, 0, 4), state);
    const auto b = f->forward_incremental(x.slice(1, 4, 5), state);
    const auto c = f->forward_incremental(x.slice(1, 5), state);
    expect_close(torch::cat({a, b, c}, 1), f->forward(x), 1e-13);
  }
}

TEST_F(FeedForwardTest, Gradients) {
  for (const auto& options : kinds()) {
    SpectralFeedForward f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({1, 5, 4}, torch::kDouble).requires_grad_();
    auto leaves = f->parameters();
    leaves.push_back(x);
    expect_gradients([&] { return f->forward(x); }, leaves);
  }
}

TEST_F(FeedForwardTest, SavesClonesAndPrints) {
  const auto x = torch::randn({2, 5, 4});
  for (const auto& options : kinds()) {
    SpectralFeedForward f(options);
    expect_save_and_clone(
        f, [&](SpectralFeedForwardImpl& m) { return m.forward(x); });
  }
  EXPECT_EQ(
      printed(SpectralFeedForward(4)),
      "signalllm::SpectralFeedForward(dim=4, hidden=16, kind=channel, "
      "activation=squared_relu)(\n"
      "  (in_proj): torch::nn::Linear(in_features=4, out_features=16, "
      "bias=false)\n"
      "  (out_proj): torch::nn::Linear(in_features=16, out_features=4, "
      "bias=false)\n"
      ")");
}

TEST_F(FeedForwardTest, NamesItsKinds) {
  for (const auto activation : {Activation::Gelu, Activation::SquaredRelu}) {
    EXPECT_EQ(parse_activation(to_string(activation)), activation);
  }
  for (const auto kind :
       {SpectralKind::None,
        SpectralKind::Channel,
        SpectralKind::CausalTime,
        SpectralKind::CausalWavelet}) {
    EXPECT_EQ(parse_spectral_kind(to_string(kind)), kind);
  }
  EXPECT_NE(
      message_of([] {
        parse_spectral_kind("time");
      }).find("allowed are none, channel, causal_time and causal_wavelet"),
      std::string::npos);
}
