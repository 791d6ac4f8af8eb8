#include "support.h"

#include <signalllm/nn/positional_encoding.h>

#include <torch/nn/modules/container/sequential.h>

using namespace signalllm;
using namespace signalllm::test;

struct PositionalEncodingTest : testing::Test {
  static SignalPositionalEncoding rotary(int64_t dim) {
    return SignalPositionalEncoding(
        SignalPositionalEncodingOptions(dim).kind(PositionKind::Rotary));
  }
};

TEST_F(PositionalEncodingTest, AbsoluteAddsTheModulatedTable) {
  SignalPositionalEncoding p(SignalPositionalEncodingOptions(7).max_length(20));
  torch::NoGradGuard no_grad;
  p->modulation.normal_();
  p->shift.normal_();
  const auto x = torch::randn({2, 5, 7});
  expect_close(
      p->forward(x, 3),
      x + p->table.slice(0, 3, 8) * p->modulation + p->shift,
      0);
  EXPECT_NE(
      message_of([&] { p->forward(x, 16); }).find("ends at max_length = 20"),
      std::string::npos);
}

TEST_F(PositionalEncodingTest, RotaryAgreesWithComplexRotation) {
  const auto x = torch::randn({2, 3, 9, 8}, torch::kDouble);
  const auto y = rotary(8)->forward(x, 5);
  for (int64_t t = 0; t < 9; ++t) {
    for (int64_t i = 0; i < 4; ++i) {
      const auto angle = (5.0 + t) * std::pow(10000.0, -2.0 * i / 8);
      const auto a = x.select(2, t).select(-1, i);
      const auto b = x.select(2, t).select(-1, i + 4);
      expect_close(
          y.select(2, t).select(-1, i),
          a * std::cos(angle) - b * std::sin(angle),
          1e-12);
      expect_close(
          y.select(2, t).select(-1, i + 4),
          a * std::sin(angle) + b * std::cos(angle),
          1e-12);
    }
  }
}

TEST_F(PositionalEncodingTest, RotaryProductsDependOnDistanceOnly) {
  auto r = rotary(16);
  const auto q = torch::randn({1, 16});
  const auto k = torch::randn({1, 16});
  const auto product = [&](int64_t at, int64_t distance) {
    return (r->forward(q, at + distance) * r->forward(k, at)).sum();
  };
  expect_close(product(0, 3), product(1000, 3), 1e-4);
  expect_close(product(0, 3), product(1000000, 3), 1e-4);
}

TEST_F(PositionalEncodingTest, OffsetContinues) {
  for (auto p :
       {rotary(6),
        SignalPositionalEncoding(
            SignalPositionalEncodingOptions(6).max_length(12))}) {
    const auto x = torch::randn({2, 10, 6});
    const auto whole = p->forward(x);
    expect_close(p->forward(x.slice(1, 4), 4), whole.slice(1, 4), 0);
  }
}

TEST_F(PositionalEncodingTest, HalfPrecisionKeepsFarPositions) {
  const auto x = torch::randn({1, 4, 8});
  auto r = rotary(8);
  expect_close(
      r->forward(x.to(torch::kBFloat16), 5000),
      r->forward(x.to(torch::kBFloat16).to(torch::kFloat), 5000),
      0.02);
}

TEST_F(PositionalEncodingTest, RunsInASequential) {
  torch::nn::Sequential s(SignalPositionalEncoding(4));
  EXPECT_EQ(s->forward(torch::randn({2, 3, 4})).size(1), 3);
}

TEST_F(PositionalEncodingTest, Gradients) {
  SignalPositionalEncoding p(SignalPositionalEncodingOptions(4).max_length(6));
  p->to(torch::kDouble);
  const auto x = torch::randn({2, 5, 4}, torch::kDouble).requires_grad_();
  auto leaves = p->parameters();
  leaves.push_back(x);
  expect_gradients([&] { return p->forward(x, 1).tanh(); }, leaves);
  expect_gradients([&] { return rotary(4)->forward(x, 2).tanh(); }, {x});
}

TEST_F(PositionalEncodingTest, SavesClonesAndPrints) {
  SignalPositionalEncoding p(SignalPositionalEncodingOptions(4).max_length(6));
  const auto x = torch::randn({2, 5, 4});
  expect_save_and_clone(
      p, [&](SignalPositionalEncodingImpl& m) { return m.forward(x); });
  EXPECT_EQ(
      printed(p),
      "signalllm::SignalPositionalEncoding(dim=4, kind=absolute, "
      "max_length=6)");
  EXPECT_EQ(
      printed(rotary(8)),
      "signalllm::SignalPositionalEncoding(dim=8, kind=rotary, base=10000)");
}

TEST_F(PositionalEncodingTest, RickerAddsWaveletsOfTheDistance) {
  SignalPositionalEncoding p(
      SignalPositionalEncodingOptions(2).kind(PositionKind::Ricker).scales(3));
  p->to(torch::kDouble);
  {
    torch::NoGradGuard no_grad;
    p->weights.normal_();
    p->centres.normal_();
  }
  const auto scores = torch::randn({1, 2, 3, 7}, torch::kDouble);
  const auto y = p->forward(scores, 4);
  for (int64_t head = 0; head < 2; ++head) {
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t s = 0; s < 7; ++s) {
        double expected = scores[0][head][t][s].item<double>();
        for (int64_t k = 0; k < 3; ++k) {
          const auto u = static_cast<double>(4 + t - s) /
                  std::exp(p->log_widths[head][k].item<double>()) -
              p->centres[head][k].item<double>();
          expected += p->weights[head][k].item<double>() * (1 - u * u) *
              std::exp(-u * u / 2);
        }
        EXPECT_NEAR(y[0][head][t][s].item<double>(), expected, 1e-12);
      }
    }
  }
  expect_gradients([&] { return p->forward(scores, 4); }, p->parameters());
  expect_save_and_clone(
      p, [&](SignalPositionalEncodingImpl& m) { return m.forward(scores); });
  EXPECT_EQ(
      printed(p),
      "signalllm::SignalPositionalEncoding(dim=2, kind=ricker, scales=3)");
  EXPECT_NE(
      message_of([&] {
        p->forward(scores.select(1, 0));
      }).find("it must be scores [..., 2 heads, queries, keys]"),
      std::string::npos);
}
