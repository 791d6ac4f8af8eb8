// Where a form that goes wrong on MPS lies near (host_rules.cpp) our modules
// have the CPU's values and gradients.
#include "mps/faults.h"

#include <signalllm/signalllm.h>

#include <ATen/ATen.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct MpsRules : testing::Test {};

/// Output and gradients of a module on MPS against its copy on the CPU.
template <typename Holder>
void expect_as_on_the_cpu(
    Holder module,
    const at::Tensor& input,
    double tolerance = 1e-4) {
  const auto run = [](Holder& m, const at::Tensor& x) {
    const auto y = m->forward(x);
    const auto weight = at::linspace(0.5, 1.5, y.size(-1), y.options());
    std::vector<at::Tensor> all{y.detach().cpu()};
    // Means, so that long sums stay comparable.
    const auto loss = (y * weight).sum() * (1.0 / double(x.numel() + 1));
    for (const auto& g : torch::autograd::grad(
             {loss}, m->parameters(), {}, std::nullopt, false, true)) {
      all.push_back(g.defined() ? g.cpu() : g);
    }
    return all;
  };
  const std::vector<at::Tensor> expected = run(module, input);
  optimize_for_mps(module, torch::kMPS);
  const std::vector<at::Tensor> actual = run(module, input.to(torch::kMPS));
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), expected[i].defined());
    if (actual[i].defined() && actual[i].numel() > 0) {
      expect_close(
          actual[i],
          expected[i],
          tolerance * (1 + expected[i].abs().max().item<double>()));
    }
  }
}

// ---- Transforms -------------------------------------------------------------
TEST_F(MpsRules, AnOddHiddenWidthNeedsNoOddTransform) {
  for (const int64_t hidden : {1, 7, 45}) {
    SpectralFeedForward module(
        SpectralFeedForwardOptions(5).hidden(hidden).kind(
            SpectralKind::Channel));
    torch::NoGradGuard no_grad;
    module->gain.normal_();
    const at::AutoGradMode gradients(true);
    expect_as_on_the_cpu(module, torch::randn({2, 6, 5}));
  }
}

TEST_F(MpsRules, AnEmptyBatchNeedsNoTransform) {
  const auto x = torch::randn({0, 8, 4});
  expect_as_on_the_cpu(
      FourierConvolutionAttention(
          FourierConvolutionAttentionOptions(4).max_length(16).terms(2)),
      x);
  expect_as_on_the_cpu(
      FourierConvolutionAttention(
          FourierConvolutionAttentionOptions(4).max_length(16).terms(2).causal(
              false)),
      x);
  expect_as_on_the_cpu(
      FrequencyDomainAttention(FrequencyDomainAttentionOptions(4, 2)), x);
}

// ---- Long inner dimensions --------------------------------------------------
// Just above 32,767. Attention without causality is torch's: the kernel of ours
// takes its time on the host.
TEST_F(MpsRules, ALinearOfManyTokensHasItsGradient) {
  const auto many = torch::randn({330, 100, 4});
  expect_as_on_the_cpu(
      SpectralFeedForward(SpectralFeedForwardOptions(4)),
      torch::randn({1, 33000, 4}));
  expect_as_on_the_cpu(
      WaveletAttention(WaveletAttentionOptions(4, 2).levels(1).causal(false)),
      many);
  expect_as_on_the_cpu(
      FrequencyDomainAttention(FrequencyDomainAttentionOptions(4, 2)), many);
  expect_as_on_the_cpu(
      AdaptiveBasisSelection(
          AdaptiveBasisSelectionOptions(4).wavelets({"haar"}).level(1)),
      many);
}

TEST_F(MpsRules, AKernelOfManyPositionsHasItsGradient) {
  FourierConvolutionAttention module(
      FourierConvolutionAttentionOptions(2).max_length(256).terms(2));
  expect_as_on_the_cpu(module, torch::randn({1, 33000, 2}));
  // The same text at once and by its state.
  torch::NoGradGuard no_grad;
  const auto x = torch::randn({1, 33000, 2}, torch::kMPS);
  FourierConvolutionState state;
  expect_close(
      module->forward_incremental(x, state).cpu(),
      module->forward(x).cpu(),
      1e-3);
}

TEST_F(MpsRules, AHeadOfManyTokensOrWordsHasItsGradient) {
  for (const bool words : {false, true}) {
    const int64_t count = words ? 33000 : 11;
    SignalLLM model(SignalLLMOptions(count)
                        .dim(4)
                        .heads(1)
                        .layers(1)
                        .levels(1)
                        .max_length(128)
                        .terms(2));
    model->eval();
    const auto x = words ? torch::randint(count, {1, 6})
                         : torch::randint(count, {330, 100});
    expect_as_on_the_cpu(model, x, 1e-3);
  }
}

struct ReducedImpl : torch::nn::Cloneable<ReducedImpl> {
  explicit ReducedImpl(int64_t channels = 0) : channels_(channels) {
    reset();
  }
  void reset() override {
    transform = register_module(
        "transform",
        WaveletTransform(
            WaveletTransformOptions("db2").level(1).learned(true).channels(
                channels_)));
  }
  at::Tensor forward(const at::Tensor& x) {
    auto c = transform->forward(x);
    return transform->inverse({c[0] * 2, c[1]}, x.size(1));
  }
  WaveletTransform transform{nullptr};
  int64_t channels_;
};
TORCH_MODULE(Reduced);

TEST_F(MpsRules, LearnedFiltersOfManyValuesHaveTheirGradient) {
  for (const int64_t channels : {0, 2}) {
    const auto x = torch::randn({1, 80000, 2});
    Reduced optimized(channels), standard(channels);
    expect_as_on_the_cpu(optimized, x);
    const auto gradient = [&](const at::Tensor& input) {
      const auto y = standard->forward(input);
      return torch::autograd::grad({(y * y).mean()}, standard->parameters())[0]
          .cpu();
    };
    const auto expected = gradient(x);
    standard->to(torch::kMPS);
    expect_close(gradient(x.to(torch::kMPS)), expected, 1e-4);
  }
}

} // namespace
