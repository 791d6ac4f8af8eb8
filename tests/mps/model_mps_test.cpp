// What `optimize_for_mps` promises, on the host-backed device: everything
// stays on MPS, nothing waits for the host, no operator is missing, and the
// function is the CPU's.
#include "foreign.h"
#include "mps/host_mps.h"
#include "support.h"

#include <signalllm/signalllm.h>
#include <signalllm/training/trainer.h>

#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>

#include <iostream>

using namespace signalllm;
using namespace signalllm::test;

struct MpsModelTest : testing::Test {
  MpsModelTest() {
    host_mps::reset();
  }
  static SignalLLMOptions small() {
    return SignalLLMOptions(17).dim(16).layers(2).heads(4).max_length(32).terms(
        4);
  }
  static torch::Tensor tokens(int64_t batch, int64_t length) {
    return torch::randint(17, {batch, length}, torch::kLong);
  }
  static torch::Tensor loss(SignalLLM& model, const torch::Tensor& x) {
    return torch::nn::functional::cross_entropy(
        model->forward(x.slice(1, 0, -1)).reshape({-1, 17}),
        x.slice(1, 1).reshape({-1}));
  }
  /// Every option that changes what runs, beside the defaults.
  static std::vector<SignalLLMOptions> variants() {
    return {
        small(),
        small().attention_fraction(0),
        small().attention_fraction(1),
        small()
            .attention(AttentionKind::Frequency)
            .ricker(true)
            .embedding(EmbeddingKind::Hybrid)
            .feed_forward(SpectralKind::CausalTime)
            .absolute_positions(true),
        small().adaptive_basis(true).stochastic_keep(0.8).fourier_filter(
            FilterKind::Wavelet)};
  }
};

TEST_F(MpsModelTest, ComputesWhatTheCpuDoesAndStaysThere) {
  for (const auto& options : variants()) {
    SignalLLM model(options);
    model->eval();
    const auto x = tokens(2, 25);
    const auto expected_loss = loss(model, x);
    const auto expected =
        torch::autograd::grad({expected_loss}, model->parameters());
    optimize_for_mps(model, torch::kMPS);
    for (const auto& item : model->named_parameters()) {
      ASSERT_TRUE(item.value().is_mps()) << item.key();
    }
    for (const auto& item : model->named_buffers()) {
      ASSERT_TRUE(item.value().is_mps()) << item.key();
    }
    const auto there = x.to(torch::kMPS);
    host_mps::reset();
    const auto y = loss(model, there);
    const auto gradients = torch::autograd::grad({y}, model->parameters());
    EXPECT_EQ(host_mps::counters().synchronisations, 0);
    EXPECT_EQ(host_mps::counters().copies_to_host, 0);
    EXPECT_TRUE(y.is_mps());
    expect_close(y.cpu(), expected_loss, 1e-5);
    for (size_t i = 0; i < gradients.size(); ++i) {
      EXPECT_TRUE(gradients[i].is_mps());
      expect_close(gradients[i].cpu(), expected[i], 1e-4);
    }
  }
}

TEST_F(MpsModelTest, ATrainingStepWaitsForNothing) {
  for (const auto& options : variants()) {
    SignalLLM model(options);
    optimize_for_mps(model, torch::kMPS);
    torch::optim::AdamW optimizer(model->parameters(), 1e-3);
    const auto x = tokens(2, 25).to(torch::kMPS);
    for (int step = 0; step < 2; ++step) {
      host_mps::reset();
      optimizer.zero_grad();
      loss(model, x).backward();
      optimizer.step();
      EXPECT_EQ(host_mps::counters().synchronisations, 0);
      EXPECT_EQ(host_mps::counters().copies_to_host, 0);
    }
  }
}

TEST_F(MpsModelTest, TheTrainerWaitsForReportsOnly) {
  SignalLLM model(small());
  optimize_for_mps(model, torch::kMPS);
  training::Trainer trainer(
      model,
      data::RandomWindows(
          torch::randint(17, {500}, torch::kLong), 16, /*seed=*/1),
      training::TrainerOptions().batch(2).average(0.9));
  trainer.step();
  host_mps::reset();
  for (int i = 0; i < 3; ++i) {
    trainer.step();
  }
  EXPECT_EQ(host_mps::counters().synchronisations, 0);
  EXPECT_TRUE(std::isfinite(trainer.report().loss));
  EXPECT_GT(host_mps::counters().synchronisations, 0);
}

TEST_F(MpsModelTest, Generates) {
  SignalLLM model(small());
  model->eval();
  const auto prompt = tokens(1, 5);
  const auto options = GenerateOptions().max_new_tokens(20).temperature(0);
  const auto expected = model->generate(prompt, options);
  optimize_for_mps(model, torch::kMPS);
  const auto text = model->generate(prompt.to(torch::kMPS), options);
  EXPECT_TRUE(text.is_mps());
  EXPECT_TRUE(text.cpu().equal(expected));
  model->generate(
      prompt.to(torch::kMPS),
      GenerateOptions().max_new_tokens(3).temperature(1).top_k(5).seed(1));
}

TEST_F(MpsModelTest, MovesAnOptimizerThatHasStepped) {
  SignalLLM model(small());
  torch::optim::AdamW optimizer(model->parameters(), 1e-3);
  loss(model, tokens(2, 9)).backward();
  optimizer.step();
  optimize_for_mps(model, optimizer, torch::kMPS);
  optimizer.zero_grad();
  loss(model, tokens(2, 9).to(torch::kMPS)).backward();
  optimizer.step();
  EXPECT_TRUE(model->parameters()[0].isfinite().all().item<bool>());
}

TEST_F(MpsModelTest, Float64BecomesFloat32AndTheReportSaysSo) {
  SignalLLM model(small());
  model->to(torch::kDouble);
  const auto report = printed(optimize_for_mps(model, torch::kMPS));
  EXPECT_NE(
      report.find("embedding.coefficients: Double -> Float"), std::string::npos)
      << report;
  for (const auto& parameter : model->parameters()) {
    EXPECT_EQ(parameter.scalar_type(), torch::kFloat);
    EXPECT_TRUE(parameter.is_mps());
  }
}

TEST_F(MpsModelTest, CheckpointsGoBothWays) {
  SignalLLM model(small());
  optimize_for_mps(model, torch::kMPS);
  std::stringstream stream;
  torch::save(model, stream);
  SignalLLM other(small());
  torch::load(other, stream, torch::kCPU);
  const auto x = tokens(1, 9);
  model->eval();
  other->eval();
  expect_close(
      other->forward(x), model->forward(x.to(torch::kMPS)).cpu(), 1e-5);
}

/// The mistakes that these tests are for, each caught.
struct MpsPlantedTest : MpsModelTest {};

TEST_F(MpsPlantedTest, AValueThatIsRead) {
  const auto x = torch::ones({3}, torch::kMPS);
  host_mps::reset();
  const auto y = x.sum().item<float>() > 0 ? x : -x;
  EXPECT_EQ(host_mps::counters().synchronisations, 1);
  EXPECT_TRUE(y.is_mps());
}

TEST_F(MpsPlantedTest, ATensorLeftOnTheCpu) {
  SignalLLM model(small());
  optimize_for_mps(model, torch::kMPS);
  model->norm->weight.set_data(model->norm->weight.cpu());
  ASSERT_FALSE(model->norm->weight.is_mps());
  EXPECT_NE(
      message_of([&] {
        model->forward(tokens(1, 9).to(torch::kMPS));
      }).find("same device"),
      std::string::npos);
}

TEST_F(MpsPlantedTest, AFloat64Buffer) {
  SpectralEmbedding e(5, 8);
  e->basis = e->basis.to(torch::kDouble);
  e->named_buffers();
  EXPECT_THROW(e->basis.to(torch::kMPS), c10::TypeError);
}

TEST_F(MpsModelTest, ReportsWhatAStepLaunches) {
  for (const bool optimized : {false, true}) {
    SignalLLM model(small());
    if (optimized) {
      optimize_for_mps(model, torch::kMPS);
    } else {
      model->to(torch::kMPS);
    }
    const auto x = tokens(2, 25).to(torch::kMPS);
    host_mps::reset();
    auto y = loss(model, x);
    const auto forward = host_mps::counters().launches();
    y.backward();
    const auto step = host_mps::counters().launches();
    std::cout << (optimized ? "optimized" : "standard")
              << " model, 2 layers: " << forward << " operators forward, "
              << step << " forward and backward\n";
    EXPECT_GT(forward, 0);
  }
}
