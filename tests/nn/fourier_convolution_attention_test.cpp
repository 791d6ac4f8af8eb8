#include "nn/mixer_support.h"

#include <cmath>
#include <numbers>

using namespace signalllm;
using namespace signalllm::test;

struct FourierConvolutionAttentionTest : testing::Test {
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
            .levels(2),
        FourierConvolutionAttentionOptions(base).constant_q(false)};
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
        const auto angle = f->frequency * (std::numbers::pi * m * t);
        k = k + f->kernel_terms[m] * angle.cos() +
            f->kernel_terms[terms + m] * angle.sin();
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

TEST_F(FourierConvolutionAttentionTest, FrequenciesGrowWithTheDecay) {
  const auto options =
      FourierConvolutionAttentionOptions(40).max_length(1024).terms(16);
  FourierConvolutionAttention f(options);
  const auto ratio = f->log_decay.exp() / 4;
  const auto top = 64.0; // harmonic 16 of it is at half the sampling rate
  for (int64_t c = 0; c < 40; ++c) {
    const auto s = f->frequency[c].item<double>();
    const auto wanted = std::min(ratio[c].item<double>(), top);
    EXPECT_EQ(s, std::exp2(std::round(std::log2(s))));
    EXPECT_LE(std::abs(std::log2(s / wanted)), 0.5001);
  }
  EXPECT_EQ(f->frequency.min().item<double>(), 1);
  EXPECT_EQ(f->frequency.max().item<double>(), top);
  EXPECT_TRUE(FourierConvolutionAttention(
                  FourierConvolutionAttentionOptions(options).constant_q(false))
                  ->frequency.eq(1)
                  .all()
                  .item<bool>());
  // A change of type loses nothing, and what is loaded decides.
  const auto before = f->kernel(70);
  f->to(torch::kBFloat16);
  f->to(torch::kFloat);
  EXPECT_EQ(f->frequency.max().item<double>(), top);
  {
    torch::NoGradGuard no_grad;
    f->frequency.fill_(2);
  }
  EXPECT_GT((f->kernel(70) - before).abs().max().item<double>(), 0.01);
}

TEST_F(FourierConvolutionAttentionTest, DropsInTrainingOnly) {
  FourierConvolutionAttention f(
      FourierConvolutionAttentionOptions(6).dropout(0.5));
  const auto x = torch::randn({2, 12, 6});
  EXPECT_FALSE(f->forward(x).equal(f->forward(x)));
  MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl> twin(*f);
  torch::manual_seed(1);
  const auto expected = f->forward(x);
  torch::manual_seed(1);
  expect_close(twin.forward(x), expected, 1e-5);
  f->eval();
  EXPECT_TRUE(f->forward(x).equal(f->forward(x)));
  EXPECT_NE(
      message_of([] {
        FourierConvolutionAttention(
            FourierConvolutionAttentionOptions(6).dropout(1));
      }).find("dropout is 1, it must be at least 0 and below 1"),
      std::string::npos);
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

TEST_F(FourierConvolutionAttentionTest, EvaluationKeepsTheTaps) {
  FourierConvolutionAttention f(kinds()[0]);
  f->eval();
  torch::NoGradGuard no_grad;
  const auto same = [](const torch::Tensor& a, const torch::Tensor& b) {
    return a.const_data_ptr() == b.const_data_ptr();
  };
  const auto taps = f->kernel(40);
  EXPECT_TRUE(same(taps, f->kernel(40)));
  EXPECT_EQ(f->kernel(41).size(0), 41);
  EXPECT_TRUE(f->kernel(40).equal(taps));
  // A copy keeps nothing of another's, and computes the same.
  const auto twin = std::make_shared<
      MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>>(*f);
  EXPECT_FALSE(same(twin->kernel(40), f->kernel(40)));
  EXPECT_TRUE(twin->kernel(40).equal(taps));
  // Every parameter's change shows, and the twin's too.
  for (const auto& name : {"kernel_terms", "log_decay"}) {
    const auto before = f->kernel(40).clone();
    f->named_parameters()[name].add_(0.5);
    EXPECT_FALSE(f->kernel(40).equal(before)) << name;
    EXPECT_TRUE(twin->kernel(40).equal(f->kernel(40)));
  }
  const auto before = f->kernel(40).clone();
  f->frequency.fill_(2);
  EXPECT_FALSE(f->kernel(40).equal(before));
  // So does a move to another type, and memory that is replaced.
  const auto wide = f->kernel(40).to(torch::kDouble);
  f->to(torch::kDouble);
  EXPECT_EQ(f->kernel(40).scalar_type(), torch::kDouble);
  expect_close(f->kernel(40), wide, 1e-6);
  f->kernel_terms.set_data(f->kernel_terms.clone() * 2);
  expect_close(f->kernel(40), 2 * wide, 1e-6);
}

TEST_F(FourierConvolutionAttentionTest, TrainingComputesTheTapsAnew) {
  FourierConvolutionAttention f(kinds()[0]);
  EXPECT_TRUE(f->kernel(20).requires_grad());
  f->eval();
  {
    torch::NoGradGuard no_grad;
    EXPECT_FALSE(f->kernel(20).requires_grad());
    // A replayed recording writes without counting; training begins anew.
    const auto taps = f->kernel(20);
    auto hidden = f->kernel_terms.variable_data();
    hidden.mul_(3);
    f->train();
    f->eval();
    expect_close(f->kernel(20), 3 * taps, 1e-6);
  }
  EXPECT_TRUE(f->kernel(20).requires_grad());
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
      "terms=4, normalize=true, constant_q=true, filter=short, causal=true)" +
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
      "max_length=16, terms=4, normalize=true, constant_q=true, filter=short, "
      "causal=true)" +
          children);
}
