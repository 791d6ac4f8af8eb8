#include "nn/mixer_support.h"

#include <cmath>
#include <numbers>

using namespace signalllm;
using namespace signalllm::test;

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
