// Every option of SignalLLM on the host-backed device, with the operators of
// torch 2.11 and of 2.15: the CPU's values, and a step that neither copies nor
// waits.
#include "mps/faults.h"

#include <signalllm/signalllm.h>
#include <signalllm/training/adamw.h>

#include <torch/nn/functional/loss.h>

using namespace signalllm;
using namespace signalllm::test;
using host_mps::Torch;

namespace {

struct Variant {
  std::string name;
  SignalLLMOptions options;
};

SignalLLMOptions small() {
  return SignalLLMOptions(17).dim(16).layers(1).heads(4).max_length(32).terms(
      4);
}

std::vector<Variant> variants() {
  const auto frequency = [] {
    return small().attention(AttentionKind::Frequency);
  };
  return {
      {"defaults", small()},
      {"two_layers", small().layers(2)},
      {"two_heads", small().heads(2)},
      {"no_layers", small().layers(0)},
      {"nothing_attends", small().attention_fraction(0)},
      {"everything_attends", small().attention_fraction(1)},
      {"window", small().window(4)},
      {"opened", small().window(4).opened(2)},
      {"window_of_everything", small().attention_fraction(1).window(6)},
      {"no_qk_norm", small().qk_norm(false)},
      {"passes", small().passes(2)},
      {"not_rotary", small().rotary(false)},
      {"frequency", frequency()},
      {"frequency_not_rotary", frequency().rotary(false)},
      {"ricker", frequency().ricker(true)},
      {"ricker_not_rotary", frequency().rotary(false).ricker(true)},
      {"hybrid", small().embedding(EmbeddingKind::Hybrid)},
      {"harmonics", small().harmonics(3)},
      {"absolute", small().absolute_positions(true)},
      {"stochastic", small().stochastic_keep(0.8)},
      {"adaptive", small().adaptive_basis(true)},
      {"attention_unfiltered", small().attention_filter(FilterKind::None)},
      {"attention_short", small().attention_filter(FilterKind::Short)},
      {"fourier_unfiltered", small().fourier_filter(FilterKind::None)},
      {"fourier_wavelet", small().fourier_filter(FilterKind::Wavelet)},
      {"haar", small().wavelet("haar")},
      {"sym4", small().wavelet("sym4")},
      {"no_levels", small().levels(0)},
      {"all_levels", small().levels(-1)},
      {"no_terms", small().terms(0)},
      {"no_norm", small().fourier_norm(false)},
      {"equal_frequencies", small().constant_q(false)},
      {"plain_feed_forward", small().feed_forward(SpectralKind::None)},
      {"causal_time", small().feed_forward(SpectralKind::CausalTime)},
      {"odd_hidden",
       small().dim(15).heads(3).rotary(false).ffn_multiple(3).harmonics(4)},
      {"gelu", small().activation(Activation::Gelu)},
      {"dropout", small().dropout(0.1).embedding_dropout(0.2)},
      {"inner_dropout", small().mixer_dropout(0.1).hidden_dropout(0.2)},
      {"token_noise", small().token_noise(0.3)},
      {"starts", small().embedding_std(0.1).init_std(0.05)},
  };
}

torch::Tensor loss_of(SignalLLM& model, const torch::Tensor& x) {
  return torch::nn::functional::cross_entropy(
      model->forward(x.slice(1, 0, -1)).flatten(0, 1).to(torch::kFloat),
      x.slice(1, 1).flatten());
}

struct MpsOptions : testing::TestWithParam<std::tuple<Variant, Torch>> {
  MpsOptions()
      : operators(std::get<1>(GetParam())),
        options(std::get<0>(GetParam()).options) {
    torch::manual_seed(0);
    x = torch::randint(17, {2, 25}, torch::kLong);
  }
  OperatorsOf operators;
  SignalLLMOptions options;
  torch::Tensor x;
};

TEST_P(MpsOptions, ComputesWhatTheCpuDoes) {
  SignalLLM model(options);
  model->eval();
  const auto expected_loss = loss_of(model, x);
  const auto expected =
      torch::autograd::grad({expected_loss}, model->parameters());
  optimize_for_mps(model, torch::kMPS);
  for (const auto& buffer : model->buffers()) {
    ASSERT_TRUE(buffer.is_mps());
  }
  const auto y = loss_of(model, x.to(torch::kMPS));
  const auto gradients = torch::autograd::grad({y}, model->parameters());
  expect_close(y.cpu(), expected_loss, 1e-5);
  for (size_t i = 0; i < gradients.size(); ++i) {
    ASSERT_TRUE(gradients[i].is_mps());
    expect_close(gradients[i].cpu(), expected[i], 1e-4);
  }
}

TEST_P(MpsOptions, AStepNeitherCopiesNorWaits) {
  for (const bool optimized : {true, false}) {
    SignalLLM model(options);
    if (optimized) {
      optimize_for_mps(model, torch::kMPS);
    } else {
      model->to(torch::kMPS);
    }
    training::FusedAdamW optimizer(*model);
    const auto there = x.to(torch::kMPS);
    const auto step = [&] {
      loss_of(model, there).backward();
      optimizer.step(1e-3);
      optimizer.zero_grad();
    };
    step(); // fills what is kept
    EXPECT_EQ(faults(step), "") << (optimized ? "optimized" : "standard");
    for (const auto& parameter : model->parameters()) {
      EXPECT_TRUE(parameter.isfinite().all().item<bool>());
    }
  }
}

TEST_P(MpsOptions, Generates) {
  SignalLLM model(options);
  const auto prompt = x.slice(0, 0, 1).slice(1, 0, 5);
  const auto how = GenerateOptions().max_new_tokens(8).temperature(0);
  const auto expected = model->generate(prompt, how);
  optimize_for_mps(model, torch::kMPS);
  EXPECT_TRUE(
      model->generate(prompt.to(torch::kMPS), how).cpu().equal(expected));
}

TEST_P(MpsOptions, RunsInHalfTypes) {
  SignalLLM model(options);
  model->eval();
  const auto expected = model->forward(x).detach();
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    SignalLLM copy(options);
    torch::NoGradGuard no_grad;
    for (const auto& item : model->named_parameters()) {
      copy->named_parameters()[item.key()].copy_(item.value());
    }
    copy->eval();
    copy->to(type);
    optimize_for_mps(copy, torch::kMPS);
    torch::Tensor y;
    const auto there = x.to(torch::kMPS);
    {
      const at::AutoGradMode gradients(true);
      loss_of(copy, there).backward();
      y = copy->forward(there);
    }
    EXPECT_EQ(y.scalar_type(), type);
    EXPECT_LE(
        max_error(y.cpu(), expected),
        (type == torch::kHalf ? 0.01 : 0.08) *
            (1 + expected.abs().max().item<double>()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every,
    MpsOptions,
    testing::Combine(
        testing::ValuesIn(variants()),
        testing::Values(Torch::V2_11, Torch::V2_15)),
    [](const auto& info) {
      return std::get<0>(info.param).name +
          (std::get<1>(info.param) == Torch::V2_11 ? "_2_11" : "_2_15");
    });

} // namespace
