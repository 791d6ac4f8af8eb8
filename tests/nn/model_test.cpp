#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/optimize.h>

#include <ATen/autocast_mode.h>
#include <torch/nn/functional/loss.h>

#include <cmath>

using namespace signalllm;
using namespace signalllm::test;

struct ModelTest : testing::Test {
  static SignalLLMOptions small() {
    return SignalLLMOptions(17).dim(16).layers(2).heads(4).max_length(32).terms(
        4);
  }
  static torch::Tensor tokens(int64_t batch, int64_t length) {
    return torch::randint(17, {batch, length}, torch::kLong);
  }
};

TEST_F(ModelTest, GivesLogitsOfEveryPosition) {
  SignalLLM m(small());
  EXPECT_EQ(m->forward(tokens(3, 9)).sizes(), (std::vector<int64_t>{3, 9, 17}));
  // Longer than the training windows.
  EXPECT_EQ(m->forward(tokens(1, 50)).size(1), 50);
}

TEST_F(ModelTest, ParameterNamesAreStable) {
  SignalLLM m(small().layers(1).absolute_positions(true));
  const auto keys = m->named_parameters().keys();
  EXPECT_EQ(
      keys,
      (std::vector<std::string>{
          "embedding.coefficients",
          "positions.table",
          "positions.modulation",
          "positions.shift",
          "blocks.0.mixer_norm.weight",
          "blocks.0.mixer_norm.bias",
          "blocks.0.attention.in_proj.weight",
          "blocks.0.attention.out_proj.weight",
          "blocks.0.attention.filter.taps",
          "blocks.0.fourier.kernel_terms",
          "blocks.0.fourier.log_decay",
          "blocks.0.fourier.skip",
          "blocks.0.fourier.in_proj.weight",
          "blocks.0.fourier.out_proj.weight",
          "blocks.0.fourier.filter.taps",
          "blocks.0.feed_forward_norm.weight",
          "blocks.0.feed_forward_norm.bias",
          "blocks.0.feed_forward.gain",
          "blocks.0.feed_forward.in_proj.weight",
          "blocks.0.feed_forward.out_proj.weight",
          "norm.weight",
          "norm.bias"}));
  EXPECT_EQ(m->decayed_parameters().size(), 7u);
}

TEST_F(ModelTest, StartsAsAskedAndAtTheUniformLoss) {
  SignalLLM m(small().dim(64).vocab_size(500).embedding_std(0.03));
  auto parameters = m->named_parameters();
  const auto std_of = [&](const char* name) {
    return parameters[name].std().item<double>();
  };
  const auto std = 0.7 / 8;
  EXPECT_NEAR(std_of("blocks.1.attention.in_proj.weight"), std, 0.005);
  EXPECT_NEAR(std_of("blocks.1.fourier.out_proj.weight"), std / 2, 0.005);
  EXPECT_NEAR(std_of("blocks.1.feed_forward.out_proj.weight"), std / 2, 0.005);
  EXPECT_NEAR(std_of("embedding.coefficients"), 0.03, 0.001);
  SignalLLM asked(small().dim(64).init_std(0.02));
  EXPECT_NEAR(
      asked->named_parameters()["blocks.0.fourier.in_proj.weight"]
          .std()
          .item<double>(),
      0.02,
      0.002);
  const auto x = torch::randint(500, {4, 32}, torch::kLong);
  const auto loss = torch::nn::functional::cross_entropy(
      m->forward(x).view({-1, 500}), torch::randint(500, {128}, torch::kLong));
  EXPECT_NEAR(loss.item<double>(), std::log(500.0), 0.1);
}

TEST_F(ModelTest, TheMiddleHalfOfTheBlocksRunsAgain) {
  using Runs = std::vector<size_t>;
  EXPECT_EQ(block_runs(0, 3), Runs{});
  EXPECT_EQ(block_runs(1, 3), (Runs{0, 0, 0}));
  EXPECT_EQ(block_runs(2, 2), (Runs{0, 1, 0, 1}));
  EXPECT_EQ(block_runs(3, 2), (Runs{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(block_runs(4, 2), (Runs{0, 1, 2, 1, 2, 3}));
  EXPECT_EQ(block_runs(5, 2), (Runs{0, 1, 2, 3, 1, 2, 3, 4}));
  EXPECT_EQ(block_runs(8, 1), (Runs{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(block_runs(8, 2), (Runs{0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7}));
}

TEST_F(ModelTest, PassesAreBlocksWithTheSameWeights) {
  torch::NoGradGuard no_grad;
  SignalLLM m(small().layers(4).passes(2)), unrolled(small().layers(6));
  EXPECT_EQ(
      m->num_parameters(), SignalLLM(small().layers(4))->num_parameters());
  auto from = m->named_parameters();
  for (auto& p : from) {
    p.value().add_(torch::randn_like(p.value()) * 0.05);
  }
  const std::string of_run = "012123";
  for (auto& p : unrolled->named_parameters()) {
    auto name = p.key();
    if (name.starts_with("blocks.")) {
      name[7] = of_run[static_cast<size_t>(name[7] - '0')];
    }
    p.value().copy_(from[name]);
  }
  const auto x = tokens(2, 30);
  EXPECT_TRUE(m->forward(x).equal(unrolled->forward(x)));
  m->to(torch::kDouble);
  auto state = m->make_state(2);
  EXPECT_EQ(state.blocks.size(), of_run.size());
  std::vector<torch::Tensor> out;
  for (int64_t t = 0; t < 30; ++t) {
    out.push_back(m->forward_incremental(x.slice(1, t, t + 1), state));
  }
  expect_close(torch::cat(out, 1), m->forward(x), 1e-10);
}

TEST_F(ModelTest, RunsOfBlocksDivideTheStart) {
  SignalLLM m(small().dim(64).layers(4).passes(2));
  EXPECT_NEAR(
      m->named_parameters()["blocks.0.feed_forward.out_proj.weight"]
          .std()
          .item<double>(),
      0.7 / 8 / std::sqrt(12.0),
      0.001);
}

TEST_F(ModelTest, GreedyTokensAreThoseOfTheFullForward) {
  torch::NoGradGuard no_grad;
  for (const bool swapped : {false, true}) {
    SignalLLM m(small().attention_filter(FilterKind::Wavelet));
    // Livelier than a fresh model, which repeats itself.
    for (auto& p : m->parameters()) {
      p.add_(torch::randn_like(p) * 0.05);
    }
    m->to(torch::kDouble);
    if (swapped) {
      optimize_for_mps(m, torch::kCPU);
    }
    m->eval();
    const auto prompt = tokens(1, 5);
    const auto text = m->generate(prompt, GenerateOptions().temperature(0));
    ASSERT_EQ(text.size(1), 5 + 256);
    auto slow = prompt;
    for (int64_t i = 0; i < 256; ++i) {
      const auto next = m->forward(slow).select(1, -1).argmax(-1);
      slow = torch::cat({slow, next.unsqueeze(1)}, 1);
    }
    EXPECT_TRUE(text.equal(slow));
  }
}

TEST_F(ModelTest, IncrementalLogitsAreThoseOfTheFullForward) {
  torch::NoGradGuard no_grad;
  SignalLLM m(small().absolute_positions(true).max_length(300).feed_forward(
      SpectralKind::CausalTime));
  const auto x = tokens(2, 256);
  const auto whole = m->forward(x);
  auto state = m->make_state(2);
  std::vector<torch::Tensor> out{
      m->forward_incremental(x.slice(1, 0, 10), state)};
  for (int64_t t = 10; t < 256; ++t) {
    out.push_back(m->forward_incremental(x.slice(1, t, t + 1), state));
  }
  EXPECT_EQ(state.length, 256);
  expect_close(torch::cat(out, 1), whole, 1e-4);
}

TEST_F(ModelTest, GenerateFollowsItsSeedStopsAndRestoresTheMode) {
  SignalLLM m(small().dropout(0.5));
  m->train();
  const auto prompt = tokens(3, 4);
  const auto options = GenerateOptions().max_new_tokens(20).seed(7);
  const auto a = m->generate(prompt, options);
  EXPECT_TRUE(m->is_training());
  EXPECT_TRUE(m->blocks[0]->is_training());
  EXPECT_EQ(a.sizes(), (std::vector<int64_t>{3, 24}));
  EXPECT_FALSE(a.requires_grad());
  EXPECT_TRUE(a.slice(1, 0, 4).equal(prompt));
  EXPECT_TRUE(m->generate(prompt, options).equal(a));
  EXPECT_FALSE(m->generate(prompt, GenerateOptions().max_new_tokens(20).seed(8))
                   .equal(a));
  std::vector<torch::Tensor> seen;
  const auto b = m->generate(prompt, options, [&](const torch::Tensor& next) {
    seen.push_back(next);
    return seen.size() < 3;
  });
  EXPECT_EQ(b.size(1), 4 + 3);
  EXPECT_TRUE(b.slice(1, 4).equal(torch::stack(seen, 1)));
  EXPECT_TRUE(
      m->generate(prompt, GenerateOptions().max_new_tokens(0)).equal(prompt));
}

TEST_F(ModelTest, Gradients) {
  // The norms of a small embedding bend more than differences follow.
  SignalLLM m(small().layers(1).embedding_std(0.5));
  m->to(torch::kDouble);
  const auto x = tokens(1, 6);
  expect_gradients([&] { return m->forward(x); }, m->parameters());
}

TEST_F(ModelTest, AutocastRunsInHalfPrecision) {
  SignalLLM m(small());
  const auto x = tokens(2, 24);
  const auto full = m->forward(x);
  for (const bool swapped : {false, true}) {
    if (swapped) {
      optimize_for_mps(m, torch::kCPU);
    }
    at::autocast::set_autocast_enabled(torch::kCPU, true);
    const auto logits = m->forward(x);
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(torch::kCPU, false);
    EXPECT_EQ(logits.scalar_type(), torch::kBFloat16);
    expect_close(logits, full, 0.1 * full.abs().max().item<double>());
    m->zero_grad();
    logits.to(torch::kFloat).square().mean().backward();
    for (const auto& item : m->named_parameters()) {
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>())
          << item.key();
      EXPECT_EQ(item.value().grad().scalar_type(), torch::kFloat);
    }
  }
}

TEST_F(ModelTest, EachDropoutActsInTrainingOnly) {
  const auto x = tokens(2, 12);
  for (const auto& options :
       {SignalLLMOptions(small()).dropout(0.3),
        SignalLLMOptions(small()).embedding_dropout(0.3),
        SignalLLMOptions(small()).mixer_dropout(0.3),
        SignalLLMOptions(small()).hidden_dropout(0.3),
        SignalLLMOptions(small()).token_noise(0.3)}) {
    SignalLLM m(options);
    EXPECT_FALSE(m->forward(x).equal(m->forward(x)));
    m->eval();
    EXPECT_TRUE(m->forward(x).equal(m->forward(x)));
  }
  // The embedding's follows the other unless it says something itself.
  EXPECT_EQ(SignalLLM(small().dropout(0.3))->dropout->options.p(), 0.3);
  EXPECT_EQ(
      SignalLLM(small().dropout(0.3).embedding_dropout(0))
          ->dropout->options.p(),
      0.0);
}

TEST_F(ModelTest, TokenNoiseReplacesTheShareItSays) {
  SignalLLM m(small().layers(0).token_noise(0.25));
  const auto x = tokens(40, 100);
  const auto clean = [&] {
    m->eval();
    const auto y = m->forward(x);
    m->train();
    return y;
  }();
  const auto changed = (m->forward(x) != clean).any(-1);
  // One replacement in 17 is the token itself.
  EXPECT_NEAR(
      changed.to(torch::kDouble).mean().item<double>(), 0.25 * 16 / 17, 0.03);
  EXPECT_NE(
      message_of([] {
        SignalLLM(small().token_noise(2));
      }).find("token_noise is 2, allowed are 0 to 1"),
      std::string::npos);
}

TEST_F(ModelTest, SavesClonesAndPrints) {
  SignalLLM m(small());
  const auto x = tokens(2, 9);
  expect_save_and_clone(
      m, [&](SignalLLMImpl& model) { return model.forward(x); });
  const auto text = printed(m);
  EXPECT_EQ(
      text.substr(0, text.find('\n')),
      "signalllm::SignalLLM(vocab_size=17, dim=16, layers=2, heads=4, "
      "attention_fraction=0.5, max_length=32)(");
}

TEST_F(ModelTest, RefusesTokensThatAreNone) {
  SignalLLM m(small());
  EXPECT_NE(
      message_of([&] {
        m->forward(torch::randn({2, 3}));
      }).find("they must be int64 [batch, length]"),
      std::string::npos);
}
