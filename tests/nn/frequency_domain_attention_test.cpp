#include "nn/mixer_support.h"

#include <signalllm/nn/frequency_domain_attention.h>

#include <ATen/ops/complex.h>
#include <ATen/ops/fft_irfft.h>

#include <cmath>

using namespace signalllm;
using namespace signalllm::test;

struct FrequencyDomainAttentionTest : testing::Test {
  static FrequencyDomainAttention livelier(
      FrequencyDomainAttentionOptions options) {
    FrequencyDomainAttention a(options.response_std(0.5));
    if (a->ricker) {
      torch::NoGradGuard no_grad;
      a->ricker->weights.normal_();
    }
    a->to(torch::kDouble);
    return a;
  }
};

TEST_F(FrequencyDomainAttentionTest, IsAttentionOverFilteredQueriesAndKeys) {
  for (const bool causal : {true, false}) {
    for (const int64_t length : {5, 13}) {
      auto a = livelier(
          FrequencyDomainAttentionOptions(8, 2).taps(6).rotary(false).causal(
              causal));
      const auto x = torch::randn({1, length, 8}, torch::kDouble);
      const auto h = a->kernel();
      const auto p = a->in_proj->forward(x)[0];
      auto filtered = p.slice(1, 0, 16).clone();
      const auto taps = causal ? 6 : std::min<int64_t>(6, length);
      for (int64_t t = 0; t < length; ++t) {
        for (int64_t j = 0; j < taps; ++j) {
          if (t - j >= 0 || !causal) {
            filtered[t] += h[j] * p[(t - j + length) % length].slice(0, 0, 16);
          }
        }
      }
      std::vector<torch::Tensor> heads;
      for (int64_t head = 0; head < 2; ++head) {
        const auto part = [&](const torch::Tensor& of, int64_t from) {
          return of.slice(1, from + 4 * head, from + 4 * head + 4);
        };
        auto score = part(filtered, 0).matmul(part(filtered, 8).t()) / 2;
        if (causal) {
          score = score.masked_fill(
              torch::ones({length, length}, torch::kBool).triu(1), -INFINITY);
        }
        heads.push_back(score.softmax(1).matmul(part(p, 16)));
      }
      const auto y = a->out_proj->forward(torch::cat(heads, 1));
      expect_close(a->forward(x)[0], y, 1e-11);
    }
  }
}

TEST_F(FrequencyDomainAttentionTest, TheResponseIsTheFiltersSpectrum) {
  auto a = livelier(FrequencyDomainAttentionOptions(4, 2).taps(8));
  const auto h = a->kernel();
  ASSERT_EQ(h.sizes(), (std::vector<int64_t>{8, 8}));
  for (const int64_t f : {0, 1, 3}) {
    auto sum = torch::zeros({2, 8}, torch::kDouble);
    for (int64_t t = 0; t < 8; ++t) {
      const auto angle = -2 * M_PI * static_cast<double>(f * t) / 8;
      sum[0] += h[t] * std::cos(angle);
      sum[1] += h[t] * std::sin(angle);
    }
    expect_close(sum[0], a->response[0][f], 1e-12);
    if (f > 0) {
      expect_close(sum[1], a->response[1][f], 1e-12);
    }
  }
}

TEST_F(FrequencyDomainAttentionTest, LooksAtNoLaterInput) {
  for (const auto type : {torch::kFloat, torch::kDouble, torch::kBFloat16}) {
    FrequencyDomainAttention a(FrequencyDomainAttentionOptions(8, 2)
                                   .taps(10)
                                   .ricker(true)
                                   .response_std(0.5));
    a->to(type);
    expect_causal(
        [&](const torch::Tensor& in) { return a->forward(in); },
        torch::randn({2, 33, 8}).to(type),
        true);
  }
}

TEST_F(FrequencyDomainAttentionTest, IncrementalEqualsForward) {
  torch::NoGradGuard no_grad;
  for (const bool ricker : {false, true}) {
    auto a =
        livelier(FrequencyDomainAttentionOptions(8, 2).taps(10).ricker(ricker));
    const auto x = torch::randn({2, 40, 8}, torch::kDouble);
    expect_close(
        in_pieces<FrequencyDomainAttentionState>(*a, x), a->forward(x), 1e-11);
  }
}

TEST_F(FrequencyDomainAttentionTest, Gradients) {
  for (const bool causal : {true, false}) {
    auto a = livelier(
        FrequencyDomainAttentionOptions(4, 2).taps(4).ricker(true).causal(
            causal));
    auto leaves = a->parameters();
    const auto x = torch::randn({1, 7, 4}, torch::kDouble).requires_grad_();
    leaves.push_back(x);
    expect_gradients([&] { return a->forward(x); }, leaves);
  }
}

TEST_F(FrequencyDomainAttentionTest, SavesClonesAndPrints) {
  FrequencyDomainAttention a(8, 2);
  const auto x = torch::randn({2, 9, 8});
  expect_save_and_clone(
      a, [&](FrequencyDomainAttentionImpl& m) { return m.forward(x); });
  EXPECT_NE(
      printed(a).find("signalllm::FrequencyDomainAttention(dim=8, num_heads=2, "
                      "width=8, taps=32, rotary=true, ricker=false, "
                      "causal=true)"),
      std::string::npos);
}

TEST_F(FrequencyDomainAttentionTest, RefusesWhatDoesNotFit) {
  EXPECT_NE(
      message_of([] {
        FrequencyDomainAttention(10, 4);
      }).find("width 10 cannot be divided into 4 heads"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        FrequencyDomainAttention(FrequencyDomainAttentionOptions(8, 2).taps(3));
      }).find("taps is 3, it must be even"),
      std::string::npos);
}
