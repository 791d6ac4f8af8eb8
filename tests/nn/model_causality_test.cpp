#include "support.h"

#include <signalllm/nn/model.h>

#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>

#include <cmath>

using namespace signalllm;
using namespace signalllm::test;

struct ModelCausalityTest : testing::Test {
  static SignalLLMOptions small() {
    return SignalLLMOptions(17).dim(16).layers(2).heads(4).max_length(32).terms(
        4);
  }
  static torch::Tensor tokens(int64_t batch, int64_t length) {
    return torch::randint(17, {batch, length}, torch::kLong);
  }
};

TEST_F(ModelCausalityTest, LooksAtNoLaterToken) {
  for (const double fraction : {0.0, 0.25, 1.0}) {
    for (const auto type : {torch::kFloat, torch::kDouble, torch::kBFloat16}) {
      SignalLLM m(small().attention_fraction(fraction).dropout(0.2));
      m->to(type);
      for (const int64_t length : {2, 17, 32, 45}) {
        for (const bool training : {true, false}) {
          m->train(training);
          expect_causal(
              [&](const torch::Tensor& in) {
                torch::manual_seed(1); // the same units drop
                return m->forward(in);
              },
              tokens(2, length),
              [](const torch::Tensor& x) { return (x + 5).remainder(17); },
              true);
        }
      }
    }
  }
}

namespace {

/// Every option of the model that says how it mixes, each value beside the
/// defaults of the others and all together.
std::vector<SignalLLMOptions> variants(const SignalLLMOptions& base) {
  std::vector<SignalLLMOptions> out;
  for (const auto filter :
       {FilterKind::None, FilterKind::Short, FilterKind::Wavelet}) {
    for (const auto kind :
         {SpectralKind::None,
          SpectralKind::Channel,
          SpectralKind::CausalTime}) {
      for (const auto attention :
           {AttentionKind::Wavelet, AttentionKind::Frequency}) {
        auto options = base;
        if (attention == AttentionKind::Wavelet) {
          options.attention_filter(filter);
        }
        options.fourier_filter(filter)
            .feed_forward(kind)
            .attention(attention)
            .attention_fraction(0.5);
        out.push_back(options);
        options.embedding(EmbeddingKind::Hybrid)
            .stochastic_keep(0.7)
            .adaptive_basis(true)
            .rotary(false)
            .ricker(attention == AttentionKind::Frequency)
            .window(attention == AttentionKind::Wavelet ? 8 : 0)
            .opened(attention == AttentionKind::Wavelet ? 2 : 0)
            .mixer_dropout(0.1)
            .token_noise(0.05)
            .absolute_positions(true)
            .fourier_norm(false)
            .passes(2)
            .qk_norm(attention == AttentionKind::Wavelet)
            .activation(Activation::Gelu);
        out.push_back(options);
      }
    }
  }
  return out;
}

} // namespace

TEST_F(ModelCausalityTest, EveryCombinationOfOptionsLooksAtNoLaterToken) {
  for (const auto& options : variants(small())) {
    SignalLLM m(options);
    for (auto& p : m->parameters()) {
      torch::NoGradGuard no_grad;
      p.add_(torch::randn_like(p) * 0.05);
    }
    for (const bool training : {true, false}) {
      m->train(training);
      expect_causal(
          [&](const torch::Tensor& in) {
            torch::manual_seed(1); // the same rows drop
            return m->forward(in);
          },
          tokens(2, 27),
          [](const torch::Tensor& x) { return (x + 5).remainder(17); },
          true);
    }
  }
}

TEST_F(ModelCausalityTest, EveryCombinationGeneratesWhatItComputes) {
  torch::NoGradGuard no_grad;
  for (const auto& options : variants(small())) {
    SignalLLM m(options);
    for (auto& p : m->parameters()) {
      p.add_(torch::randn_like(p) * 0.05);
    }
    m->to(torch::kDouble);
    m->eval();
    const auto x = tokens(2, 30);
    auto state = m->make_state(2);
    std::vector<torch::Tensor> out;
    for (int64_t t = 0; t < 30; t += 3) {
      out.push_back(m->forward_incremental(x.slice(1, t, t + 3), state));
    }
    expect_close(torch::cat(out, 1), m->forward(x), 1e-9);
  }
}

TEST_F(ModelCausalityTest, NoGradientReachesLaterEmbeddings) {
  SignalLLM m(small());
  m->to(torch::kDouble);
  auto x = torch::randn({1, 12, 16}, torch::kDouble).requires_grad_();
  auto h = x;
  for (const auto& block : *m->blocks) {
    h = block->as<WaveletTransformerBlockImpl>()->forward(h);
  }
  const auto g = torch::autograd::grad({h.select(1, 6).sum()}, {x})[0];
  EXPECT_GT(g.slice(1, 0, 7).abs().max().item<double>(), 0);
  EXPECT_LT(g.slice(1, 7).abs().max().item<double>(), 1e-12);
}

TEST_F(ModelCausalityTest, PrefixOfTheOutputIsTheOutputOfThePrefix) {
  SignalLLM m(small());
  m->to(torch::kDouble);
  const auto x = tokens(2, 40);
  const auto whole = m->forward(x);
  for (const int64_t t : {1, 2, 13, 39}) {
    expect_close(m->forward(x.slice(1, 0, t)), whole.slice(1, 0, t), 1e-11);
  }
}

TEST_F(ModelCausalityTest, IncrementalLooksAtNoLaterToken) {
  torch::NoGradGuard no_grad;
  SignalLLM m(small());
  const auto x = tokens(2, 20);
  const auto run = [&](const torch::Tensor& in) {
    auto state = m->make_state(2);
    std::vector<torch::Tensor> out;
    for (int64_t t = 0; t < in.size(1); ++t) {
      out.push_back(m->forward_incremental(in.slice(1, t, t + 1), state));
    }
    return torch::cat(out, 1);
  };
  // One at a time, nothing later is even there: equality is exact.
  expect_causal(
      run,
      x,
      [](const torch::Tensor& t) { return (t + 5).remainder(17); },
      false);
}

namespace {

/// Hands every position its successor: what a leak would do.
struct LeakyImpl : Twin<WaveletAttentionImpl, LeakyImpl> {
  using Twin::Twin;
  torch::Tensor forward(const torch::Tensor& input) override {
    return input.roll(-1, 1);
  }
};

/// Trains on uniformly random tokens, a fresh batch a step, where no causal
/// model can do better than log V. The mean of the last losses in nats over
/// that, and its standard error.
std::pair<double, double> excess_loss(SignalLLM& model, int64_t vocabulary) {
  torch::optim::AdamW optimizer(
      model->parameters(), torch::optim::AdamWOptions(3e-3));
  std::vector<torch::Tensor> last;
  for (int64_t step = 0; step < 200; ++step) {
    const auto x = torch::randint(vocabulary, {16, 33}, torch::kLong);
    const auto losses = torch::nn::functional::cross_entropy(
        model->forward(x.slice(1, 0, 32)).reshape({-1, vocabulary}),
        x.slice(1, 1).reshape({-1}),
        torch::nn::functional::CrossEntropyFuncOptions().reduction(
            torch::kNone));
    optimizer.zero_grad();
    losses.mean().backward();
    optimizer.step();
    if (step >= 150) {
      last.push_back(losses.detach());
    }
  }
  const auto all = torch::cat(last).to(torch::kDouble);
  return {
      all.mean().item<double>() - std::log(static_cast<double>(vocabulary)),
      all.std().item<double>() / std::sqrt(static_cast<double>(all.numel()))};
}

} // namespace

TEST_F(ModelCausalityTest, LearnsNothingFromNoise) {
  const auto base =
      SignalLLMOptions(12).dim(32).layers(2).heads(2).max_length(32);
  auto all = variants(base);
  for (const double fraction : {0.0, 1.0}) {
    all.push_back(SignalLLMOptions(base).attention_fraction(fraction));
  }
  for (const auto& options : all) {
    SignalLLM m(options);
    const auto [excess, error] = excess_loss(m, 12);
    EXPECT_GT(excess, -4 * error) << m;
    EXPECT_LT(excess, 0.2) << m;
  }
}

TEST_F(ModelCausalityTest, TheControlOnNoiseFindsALeak) {
  SignalLLM m(SignalLLMOptions(12)
                  .dim(32)
                  .layers(2)
                  .heads(2)
                  .max_length(32)
                  .attention_fraction(0.5));
  auto& attention = m->blocks[0]->as<WaveletTransformerBlockImpl>()->attention;
  attention->run_as(std::make_shared<LeakyImpl>(*attention));
  const auto [excess, error] = excess_loss(m, 12);
  EXPECT_LT(excess, -4 * error);
  EXPECT_LT(excess, -1);
}
