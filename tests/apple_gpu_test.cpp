// On a Mac: the optimized model on its GPU beside the same model on the CPU.
// Elsewhere these skip; tests/mps stands in for the device there.
#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>

#include <ATen/Context.h>
#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>

using namespace signalllm;
using namespace signalllm::test;

struct AppleGpuTest : ::testing::Test {
  void SetUp() override {
    if (!at::hasMPS()) {
      GTEST_SKIP() << "no Apple GPU here";
    }
    try {
      torch::zeros({64}, torch::kMPS);
    } catch (const c10::Error& error) {
      // Hosted runners show a GPU that gives no memory.
      GTEST_SKIP() << "the GPU gives no memory: " << error.msg();
    }
    torch::manual_seed(3);
  }
};

TEST_F(AppleGpuTest, TransformsAndGradientsAreTheCpus) {
  for (const auto* name : {"haar", "db4", "sym8"}) {
    for (const bool causal : {false, true}) {
      WaveletTransform host(
          WaveletTransformOptions(name).level(3).causal(causal));
      WaveletTransform gpu(
          WaveletTransformOptions(name).level(3).causal(causal));
      optimize_for_mps(gpu, torch::kMPS);
      const auto signal = torch::randn({2, 77, 5});
      auto x = signal.clone().requires_grad_();
      auto y = signal.to(torch::kMPS).requires_grad_();
      const auto expected = host->inverse(host->forward(x), 77);
      const auto actual = gpu->inverse(gpu->forward(y), 77);
      expect_close(actual.cpu(), expected, 1e-5);
      expected.square().sum().backward();
      actual.square().sum().backward();
      expect_close(y.grad().cpu(), x.grad(), 1e-4);
    }
  }
}

TEST_F(AppleGpuTest, AModelLearnsTheSame) {
  SignalLLM host(SignalLLMOptions(17).dim(32).layers(2).heads(2));
  SignalLLM gpu(SignalLLMOptions(17).dim(32).layers(2).heads(2));
  const auto from = host->parameters();
  const auto to = gpu->parameters();
  for (size_t i = 0; i < from.size(); ++i) {
    torch::NoGradGuard guard;
    to[i].copy_(from[i]);
  }
  optimize_for_mps(gpu, torch::kMPS);
  const auto text = torch::randint(17, {2, 33}, torch::kLong);
  const auto losses = [](SignalLLM& model, const torch::Tensor& tokens) {
    torch::optim::AdamW optimizer(model->parameters(), 1e-2);
    std::vector<float> values;
    for (int step = 0; step < 5; ++step) {
      optimizer.zero_grad();
      const auto logits = model->forward(tokens.narrow(1, 0, 32));
      const auto loss = torch::nn::functional::cross_entropy(
          logits.flatten(0, 1), tokens.narrow(1, 1, 32).flatten());
      loss.backward();
      optimizer.step();
      values.push_back(loss.item<float>());
    }
    return values;
  };
  const auto expected = losses(host, text);
  const auto actual = losses(gpu, text.to(torch::kMPS));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 2e-3) << "step " << i;
  }
  EXPECT_LT(expected.back(), expected.front());
}
