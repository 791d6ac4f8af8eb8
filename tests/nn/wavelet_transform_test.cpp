#include "support.h"

#include <signalllm/nn/wavelet_transform.h>

using namespace signalllm;
using namespace signalllm::test;

struct WaveletTransformTest : testing::Test {};

namespace {
WaveletTransformOptions decimated(const char* wavelet, int64_t level) {
  return WaveletTransformOptions(wavelet).level(level).causal(false);
}
} // namespace

TEST_F(WaveletTransformTest, ComesBackExactlyForEveryModeAndOddLengths) {
  for (const auto& mode : modes()) {
    for (const int64_t length : {2, 3, 7, 16, 33}) {
      WaveletTransform w(decimated("db2", 2).mode(mode));
      const auto x = torch::randn({2, length, 3}, torch::kDouble);
      const auto c = w->forward(x);
      EXPECT_EQ(c.size(), 3u);
      expect_close(w->inverse(c, length), x, 1e-10);
    }
  }
}

TEST_F(WaveletTransformTest, CausalComesBackExactlyAtOnce) {
  for (const int64_t length : {1, 2, 5, 32, 47}) {
    WaveletTransform w(WaveletTransformOptions("db4").level(4));
    const auto x = torch::randn({2, length, 3}, torch::kDouble);
    const auto c = w->forward(x);
    ASSERT_EQ(c.size(), 5u);
    EXPECT_EQ(c[0].sizes(), x.sizes());
    expect_close(w->inverse(c, length), x, 1e-13);
  }
}

TEST_F(WaveletTransformTest, CausalKeepsAConstantInTheApproximation) {
  WaveletTransform w(WaveletTransformOptions("db3").level(2));
  const auto c = w->forward(torch::ones({1, 64, 1}));
  expect_close(c[0].slice(1, 32), torch::ones({1, 32, 1}), 1e-5);
  expect_close(c[1].slice(1, 32), torch::zeros({1, 32, 1}), 1e-5);
}

TEST_F(WaveletTransformTest, CausalLooksAtNoLaterInput) {
  for (const auto type : {torch::kFloat, torch::kDouble, torch::kBFloat16}) {
    for (const int64_t length : {5, 32, 33}) {
      WaveletTransform w(WaveletTransformOptions("db4").level(3));
      MPSWaveletTransform m(w->options);
      const auto x = torch::randn({2, length, 3}).to(type);
      expect_causal(
          [&](const torch::Tensor& in) {
            return torch::cat(w->forward(in), 2);
          },
          x,
          /*fft=*/false);
      expect_causal(
          [&](const torch::Tensor& in) {
            return torch::cat(m->forward(in), 2);
          },
          x,
          /*fft=*/false);
    }
  }
}

TEST_F(WaveletTransformTest, OptimizedAgrees) {
  for (const bool causal : {true, false}) {
    for (const bool learned : {false, true}) {
      WaveletTransform w(decimated("sym4", 2).causal(causal).learned(learned));
      MPSWaveletTransform m(w->options);
      const auto x = torch::randn({2, 21, 3}, torch::kDouble).requires_grad_();
      const auto run = [&](WaveletTransformImpl& module) {
        const auto c = module.forward(x);
        const auto y = module.inverse({c[0], c[1] * 2, c[2].tanh()}, 21);
        auto leaves = module.parameters();
        leaves.push_back(x);
        auto all = torch::autograd::grad({y.square().sum()}, leaves);
        all.push_back(y);
        return all;
      };
      const auto expected = run(*w);
      const auto actual = run(*m);
      for (size_t i = 0; i < expected.size(); ++i) {
        // Parameters are float32.
        expect_close(
            actual[i],
            expected[i],
            expected[i].scalar_type() == torch::kDouble ? 1e-10 : 1e-3);
      }
    }
  }
}

TEST_F(WaveletTransformTest, LearnedFiltersReconstructWhateverTheAngles) {
  for (const int64_t channels : {0, 3}) {
    WaveletTransform w(decimated("db3", 2).learned(true).channels(channels));
    w->to(torch::kDouble);
    torch::NoGradGuard no_grad;
    w->angles.normal_();
    const auto x = torch::randn({2, 19, 3}, torch::kDouble);
    expect_close(w->inverse(w->forward(x), 19), x, 1e-12);
  }
}

TEST_F(WaveletTransformTest, LearnedStartsAtTheWavelet) {
  const auto x = torch::randn({2, 19, 3}, torch::kDouble);
  WaveletTransform fixed(decimated("db3", 2));
  WaveletTransform learned(decimated("db3", 2).learned(true));
  const auto a = fixed->forward(x);
  const auto b = learned->forward(x);
  for (size_t i = 0; i < a.size(); ++i) {
    // The sign of the high-pass is a convention.
    expect_close(a[i].abs(), b[i].abs(), 1e-5);
  }
}

TEST_F(WaveletTransformTest, Gradients) {
  for (const bool causal : {true, false}) {
    WaveletTransform w(
        decimated("db2", 2).causal(causal).learned(true).channels(2));
    w->to(torch::kDouble);
    const auto x = torch::randn({1, 9, 2}, torch::kDouble).requires_grad_();
    expect_gradients(
        [&] {
          const auto c = w->forward(x);
          return torch::cat({c[0], c[1], c[2]}, 1).square();
        },
        {x, w->angles});
  }
}

TEST_F(WaveletTransformTest, HalfModelsKeepFullFilters) {
  WaveletTransform w(decimated("db4", 1).learned(true));
  const auto before = w->analysis(torch::dtype(torch::kFloat)).first;
  w->to(torch::kHalf);
  EXPECT_EQ(
      w->analysis(torch::dtype(torch::kHalf)).first.scalar_type(),
      torch::kFloat);
  WaveletTransform fixed(decimated("db4", 1));
  fixed->to(torch::kHalf);
  expect_close(fixed->analysis(torch::dtype(torch::kHalf)).first, before, 1e-6);
  const auto c = fixed->forward(torch::randn({1, 16, 2}).to(torch::kHalf));
  EXPECT_EQ(c[0].scalar_type(), torch::kHalf);
}

TEST_F(WaveletTransformTest, SavesClonesAndPrints) {
  WaveletTransform w(decimated("db2", 2).learned(true));
  const auto x = torch::randn({2, 12, 3});
  expect_save_and_clone(
      w, [&](WaveletTransformImpl& m) { return m.forward(x)[0]; });
  EXPECT_EQ(
      printed(w),
      "signalllm::WaveletTransform(wavelet=db2, level=2, mode=reflect, "
      "causal=false, learned=true)");
  MPSWaveletTransform m(WaveletTransformOptions("db4").learned(true));
  expect_save_and_clone(
      m, [&](MPSWaveletTransformImpl& module) { return module.forward(x)[0]; });
  EXPECT_EQ(
      printed(m),
      "signalllm::MPSWaveletTransform(wavelet=db4, level=3, causal=true, "
      "learned=true)");
}

TEST_F(WaveletTransformTest, RefusesAWrongLength) {
  WaveletTransform w(decimated("db2", 1));
  const auto c = w->forward(torch::randn({1, 9, 1}));
  EXPECT_NE(
      message_of([&] {
        w->inverse(c, 8);
      }).find("length is 8, these coefficients are of a signal of 9 or 10"),
      std::string::npos);
}
