#include "support.h"

#include <signalllm/nn/attention.h>

#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>
#include <numbers>

using namespace signalllm;
using namespace signalllm::test;

struct WaveletAttentionTest : SeedingFixture {
  static std::vector<WaveletAttentionOptions> kinds() {
    const WaveletAttentionOptions base(8, 2);
    return {
        WaveletAttentionOptions(base).filter(FilterKind::None),
        WaveletAttentionOptions(base).filter(FilterKind::Short),
        WaveletAttentionOptions(base).levels(2).width(4),
        WaveletAttentionOptions(base).shared_filters(true).rotary(false)};
  }
};

struct FourierConvolutionAttentionTest : SeedingFixture {
  static std::vector<FourierConvolutionAttentionOptions> kinds() {
    const auto base =
        FourierConvolutionAttentionOptions(6).max_length(16).terms(4);
    return {
        FourierConvolutionAttentionOptions(base),
        FourierConvolutionAttentionOptions(base).width(10).terms(0),
        FourierConvolutionAttentionOptions(base).normalize(false).filter(
            FilterKind::None),
        FourierConvolutionAttentionOptions(base)
            .filter(FilterKind::Wavelet)
            .levels(2)};
  }
};

namespace {

/// Runs `module` piece by piece.
template <typename State, typename Module>
torch::Tensor in_pieces(Module& module, const torch::Tensor& x) {
  State state;
  std::vector<torch::Tensor> parts;
  int64_t at = 0;
  for (int64_t length = 5; at < x.size(1); length = length == 1 ? 3 : 1) {
    const auto end = std::min(at + length, x.size(1));
    parts.push_back(module.forward_incremental(x.slice(1, at, end), state));
    at = end;
  }
  return torch::cat(parts, 1);
}

/// Standard and twin of the same parameters: outputs and gradients.
template <typename Standard>
void expect_twin_agrees(Standard& standard, const torch::Tensor& input) {
  MPSOptimizedAttentionImpl<Standard> twin(standard);
  const auto run = [&](Standard& module) {
    const auto x = input.clone().requires_grad_();
    auto leaves = module.parameters();
    leaves.push_back(x);
    const auto y = module.forward(x);
    auto all = torch::autograd::grad({y.square().sum()}, leaves);
    all.push_back(y.detach());
    return all;
  };
  const auto expected = run(standard);
  const auto actual = run(twin);
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_close(actual[i], expected[i], 1e-10);
  }
}

} // namespace

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

TEST_F(WaveletAttentionTest, RefusesHeadsThatDoNotFit) {
  EXPECT_NE(
      message_of([] {
        WaveletAttention(10, 4);
      }).find("width 10 cannot be divided into 4 heads of equal, even size"),
      std::string::npos);
}

TEST_F(FourierConvolutionAttentionTest, AgreesWithADirectSum) {
  for (const auto& options : kinds()) {
    FourierConvolutionAttention f(options);
    f->to(torch::kDouble);
    // Longer than max_length too.
    const int64_t length = 37;
    const auto x = torch::randn({2, length, 6}, torch::kDouble);
    const auto parts = f->filter->forward(f->in_proj->forward(x)).chunk(3, 2);
    const auto u = parts[1] * parts[2];
    const auto terms = f->options.terms();
    const auto lambda = f->log_decay.exp();
    auto y = u * f->skip;
    for (int64_t lag = 0; lag < length; ++lag) {
      const auto t = static_cast<double>(lag) / 16;
      auto k = f->kernel_terms[0].clone();
      for (int64_t m = 1; m <= terms; ++m) {
        k = k + f->kernel_terms[m] * std::cos(std::numbers::pi * m * t) +
            f->kernel_terms[terms + m] * std::sin(std::numbers::pi * m * t);
      }
      k = k * (lambda * -t).exp();
      y.slice(1, lag) += u.slice(1, 0, length - lag) * k;
    }
    y = parts[0] * y;
    if (f->options.normalize()) {
      y = y / (y.square().mean(2, true) + 1e-6).sqrt();
    }
    expect_close(f->forward(x), f->out_proj->forward(y), 1e-11);
  }
}

TEST_F(FourierConvolutionAttentionTest, NotCausalIsCircular) {
  FourierConvolutionAttention f(
      FourierConvolutionAttentionOptions(6).causal(false).filter(
          FilterKind::None));
  f->to(torch::kDouble);
  const auto x = torch::randn({1, 9, 6}, torch::kDouble);
  const auto y = f->forward(x);
  expect_close(f->forward(x.roll(4, 1)), y.roll(4, 1), 1e-12);
  expect_twin_agrees(*f, x);
}

TEST_F(FourierConvolutionAttentionTest, LooksAtNoLaterInput) {
  for (const auto& options : kinds()) {
    for (const auto type : {torch::kFloat, torch::kDouble, torch::kBFloat16}) {
      for (const int64_t length : {2, 16, 33}) {
        FourierConvolutionAttention f(options);
        MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl> twin(*f);
        f->to(type);
        const auto x = torch::randn({2, length, 6}).to(type);
        for (const bool training : {true, false}) {
          f->train(training);
          expect_causal(
              [&](const torch::Tensor& in) { return f->forward(in); }, x, true);
          expect_causal(
              [&](const torch::Tensor& in) { return twin.forward(in); },
              x,
              true);
        }
      }
    }
  }
}

TEST_F(FourierConvolutionAttentionTest, RecurrenceIsExact) {
  torch::NoGradGuard no_grad;
  for (const auto& options : kinds()) {
    FourierConvolutionAttention f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({2, 150, 6}, torch::kDouble);
    expect_close(
        in_pieces<FourierConvolutionState>(*f, x), f->forward(x), 1e-11);
    f->to(torch::kFloat);
    const auto y = x.to(torch::kFloat);
    expect_close(
        in_pieces<FourierConvolutionState>(*f, y), f->forward(y), 1e-4);
  }
}

TEST_F(FourierConvolutionAttentionTest, TwinAgrees) {
  for (const auto& options : kinds()) {
    FourierConvolutionAttention f(options);
    f->to(torch::kDouble);
    for (const int64_t length : {1, 7, 16, 40}) {
      expect_twin_agrees(*f, torch::randn({2, length, 6}, torch::kDouble));
    }
  }
}

TEST_F(FourierConvolutionAttentionTest, Gradients) {
  for (const auto& options : kinds()) {
    FourierConvolutionAttention f(options);
    f->to(torch::kDouble);
    const auto x = torch::randn({1, 7, 6}, torch::kDouble).requires_grad_();
    auto leaves = f->parameters();
    leaves.push_back(x);
    expect_gradients([&] { return f->forward(x); }, leaves);
  }
}

TEST_F(FourierConvolutionAttentionTest, KernelStaysInFloat32) {
  FourierConvolutionAttention f(kinds()[0]);
  f->to(torch::kBFloat16);
  EXPECT_EQ(f->kernel(5).scalar_type(), torch::kFloat);
  const auto x = torch::randn({1, 5, 6}).to(torch::kBFloat16);
  EXPECT_EQ(f->forward(x).scalar_type(), torch::kBFloat16);
}

TEST_F(FourierConvolutionAttentionTest, SavesClonesAndPrints) {
  FourierConvolutionAttention f(
      FourierConvolutionAttentionOptions(6).max_length(16).terms(4));
  const auto x = torch::randn({2, 12, 6});
  expect_save_and_clone(
      f, [&](FourierConvolutionAttentionImpl& m) { return m.forward(x); });
  const std::string children =
      "(\n"
      "  (in_proj): torch::nn::Linear(in_features=6, out_features=18, "
      "bias=false)\n"
      "  (out_proj): torch::nn::Linear(in_features=6, out_features=6, "
      "bias=false)\n"
      "  (filter): signalllm::CausalFilter(channels=18, kind=short, taps=3)\n"
      ")";
  EXPECT_EQ(
      printed(f),
      "signalllm::FourierConvolutionAttention(dim=6, width=6, max_length=16, "
      "terms=4, normalize=true, filter=short, causal=true)" +
          children);
  MPSOptimizedAttention m(
      FourierConvolutionAttentionOptions(6).max_length(16).terms(4));
  expect_save_and_clone(
      m,
      [&](MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>& module) {
        return module.forward(x);
      });
  EXPECT_EQ(
      printed(m),
      "signalllm::MPSOptimizedAttention(kind=fourier, dim=6, width=6, "
      "max_length=16, terms=4, normalize=true, filter=short, causal=true)" +
          children);
}
