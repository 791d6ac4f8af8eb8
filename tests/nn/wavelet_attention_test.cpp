#include "nn/mixer_support.h"

using namespace signalllm;
using namespace signalllm::test;

struct WaveletAttentionTest : testing::Test {
  static std::vector<WaveletAttentionOptions> kinds() {
    const WaveletAttentionOptions base(8, 2);
    return {
        WaveletAttentionOptions(base).filter(FilterKind::None),
        WaveletAttentionOptions(base).filter(FilterKind::Short),
        WaveletAttentionOptions(base).levels(2).width(4),
        WaveletAttentionOptions(base).shared_filters(true).rotary(false),
        WaveletAttentionOptions(base).window(2),
        WaveletAttentionOptions(base).filter(FilterKind::Short).window(4),
        WaveletAttentionOptions(base).levels(1).window(2).opened(1),
        WaveletAttentionOptions(base).qk_norm(true),
        WaveletAttentionOptions(base).qk_norm(true).rotary(false).window(4)};
  }
};

TEST_F(WaveletAttentionTest, WithoutFilterIsRotaryAttention) {
  WaveletAttention a(kinds()[0]);
  const auto x = torch::randn({2, 6, 8});
  const auto parts = a->in_proj->forward(x).view({2, 6, 3, 2, 4});
  const auto head = [&](int64_t i) {
    return parts.select(2, i).transpose(1, 2);
  };
  const auto q = a->rotary->forward(head(0));
  const auto k = a->rotary->forward(head(1));
  auto scores = q.matmul(k.transpose(-1, -2)) / 2;
  const auto later = torch::ones({6, 6}, torch::kBool).triu(1);
  scores = scores.masked_fill(later, -1e30);
  const auto y = scores.softmax(-1).matmul(head(2)).transpose(1, 2);
  expect_close(a->forward(x), a->out_proj->forward(y.reshape({2, 6, 8})), 1e-6);
}

TEST_F(WaveletAttentionTest, NormalisedQueriesAndKeysLoseTheirLengths) {
  WaveletAttention a(WaveletAttentionOptions(8, 2)
                         .filter(FilterKind::None)
                         .rotary(false)
                         .qk_norm(true));
  a->to(torch::kDouble);
  const auto x = torch::randn({2, 6, 8}, torch::kDouble);
  const auto parts = a->in_proj->forward(x).view({2, 6, 3, 2, 4});
  const auto head = [&](int64_t i) {
    const auto h = parts.select(2, i).transpose(1, 2);
    return i == 2 ? h : h / (h.square().sum(-1, true) / 4 + 1e-6).sqrt();
  };
  auto scores = head(0).matmul(head(1).transpose(-1, -2)) / 2;
  const auto later = torch::ones({6, 6}, torch::kBool).triu(1);
  scores = scores.masked_fill(later, -1e30);
  const auto y = scores.softmax(-1).matmul(head(2)).transpose(1, 2);
  expect_close(
      a->forward(x), a->out_proj->forward(y.reshape({2, 6, 8})), 1e-12);
}

TEST_F(WaveletAttentionTest, LevelsFollowTheLength) {
  // db2 has 4 taps: J levels see 3 (2^J - 1) positions back.
  for (const auto& [length, levels] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 0}, {4, 1}, {5, 2}, {10, 2}, {256, 7}}) {
    WaveletAttention a(
        WaveletAttentionOptions(8, 2).levels(-1).max_length(length));
    EXPECT_EQ(a->options.levels(), levels) << length;
  }
}

TEST_F(WaveletAttentionTest, LooksAtNoLaterInput) {
  for (const auto& options : kinds()) {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
      for (const int64_t length : {2, 16, 33}) {
        WaveletAttention a(options);
        MPSOptimizedAttentionImpl<WaveletAttentionImpl> twin(*a);
        a->to(type);
        const auto x = torch::randn({2, length, 8}).to(type);
        for (const bool training : {true, false}) {
          a->train(training);
          expect_causal(
              [&](const torch::Tensor& in) { return a->forward(in); },
              x,
              false);
          expect_causal(
              [&](const torch::Tensor& in) { return twin.forward(in); },
              x,
              false);
        }
      }
    }
  }
}

TEST_F(WaveletAttentionTest, NotCausalSeesEverything) {
  WaveletAttention a(
      WaveletAttentionOptions(8, 2).filter(FilterKind::None).causal(false));
  auto x = torch::randn({1, 5, 8});
  const auto before = a->forward(x);
  x.select(1, 4).normal_();
  EXPECT_GT(max_error(a->forward(x).select(1, 0), before.select(1, 0)), 1e-4);
}

TEST_F(WaveletAttentionTest, IncrementalEqualsForward) {
  torch::NoGradGuard no_grad;
  for (const auto& options : kinds()) {
    WaveletAttention a(options);
    a->to(torch::kDouble);
    const auto x = torch::randn({2, 150, 8}, torch::kDouble);
    expect_close(in_pieces<WaveletAttentionState>(*a, x), a->forward(x), 1e-12);
  }
}

TEST_F(WaveletAttentionTest, TwinAgrees) {
  for (const auto& options : kinds()) {
    WaveletAttention a(options);
    a->to(torch::kDouble);
    expect_twin_agrees(*a, torch::randn({2, 21, 8}, torch::kDouble));
  }
}

TEST_F(WaveletAttentionTest, Gradients) {
  for (const auto& options : kinds()) {
    WaveletAttention a(options);
    a->to(torch::kDouble);
    const auto x = torch::randn({1, 6, 8}, torch::kDouble).requires_grad_();
    auto leaves = a->parameters();
    leaves.push_back(x);
    expect_gradients([&] { return a->forward(x); }, leaves);
  }
}

TEST_F(WaveletAttentionTest, SavesClonesAndPrints) {
  WaveletAttention a(WaveletAttentionOptions(8, 2).levels(1));
  const auto x = torch::randn({2, 12, 8});
  expect_save_and_clone(
      a, [&](WaveletAttentionImpl& m) { return m.forward(x); });
  const std::string children =
      "(\n"
      "  (in_proj): torch::nn::Linear(in_features=8, out_features=24, "
      "bias=false)\n"
      "  (out_proj): torch::nn::Linear(in_features=8, out_features=8, "
      "bias=false)\n"
      "  (filter): signalllm::CausalFilter(channels=24, kind=wavelet, "
      "wavelet=db2, levels=1)\n"
      "  (rotary): signalllm::SignalPositionalEncoding(dim=4, kind=rotary, "
      "base=10000)\n"
      ")";
  EXPECT_EQ(
      printed(a),
      "signalllm::WaveletAttention(dim=8, num_heads=2, width=8, "
      "filter=wavelet, rotary=true, causal=true)" +
          children);
  MPSOptimizedAttention m(WaveletAttentionOptions(8, 2).levels(1));
  expect_save_and_clone(
      m, [&](MPSOptimizedAttentionImpl<WaveletAttentionImpl>& module) {
        return module.forward(x);
      });
  EXPECT_EQ(
      printed(m),
      "signalllm::MPSOptimizedAttention(kind=wavelet, dim=8, num_heads=2, "
      "width=8, filter=wavelet, rotary=true, causal=true)" +
          children);
}

TEST_F(WaveletAttentionTest, WithAWindowSavesClonesAndPrints) {
  const auto options =
      WaveletAttentionOptions(8, 2).levels(1).window(2).opened(1);
  WaveletAttention a(options);
  MPSOptimizedAttention m(options);
  const auto x = torch::randn({2, 21, 8});
  expect_save_and_clone(
      a, [&](WaveletAttentionImpl& module) { return module.forward(x); });
  expect_save_and_clone(
      m, [&](MPSOptimizedAttentionImpl<WaveletAttentionImpl>& module) {
        return module.forward(x);
      });
  for (const auto& text : {printed(a), printed(m)}) {
    EXPECT_NE(text.find("causal=true, window=2, opened=1)"), std::string::npos)
        << text;
  }
  // The window is no parameter: a dense module takes the same weights.
  WaveletAttention dense(WaveletAttentionOptions(8, 2).levels(1));
  std::stringstream stream;
  torch::save(a, stream);
  torch::load(dense, stream);
  expect_close(
      dense->forward(x.slice(1, 0, 4)), a->forward(x.slice(1, 0, 4)), 1e-6);
  EXPECT_GT(max_error(dense->forward(x), a->forward(x)), 1e-4);
}

TEST_F(WaveletAttentionTest, RefusesWindowsThatCannotBe) {
  const WaveletAttentionOptions base(8, 2);
  EXPECT_NE(
      message_of([&] {
        WaveletAttention(WaveletAttentionOptions(base).window(3));
      }).find("window is 3, it must be even, and 0 unless causal"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        WaveletAttention(WaveletAttentionOptions(base).window(4).causal(false));
      }).find("window is 4, it must be even, and 0 unless causal"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        WaveletAttention(WaveletAttentionOptions(base).opened(1));
      }).find("opened is 1, allowed are 0 to the window, 0"),
      std::string::npos);
}

TEST_F(WaveletAttentionTest, RefusesHeadsThatDoNotFit) {
  EXPECT_NE(
      message_of([] {
        WaveletAttention(10, 4);
      }).find("width 10 cannot be divided into 4 heads of equal, even size"),
      std::string::npos);
}
