#include <signalllm/training/adamw.h>

#include "training/small_model.h"

#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <limits>

namespace signalllm::training {
namespace {

torch::Tensor loss_of(SmallModel& model, int64_t seed) {
  torch::manual_seed(seed);
  const auto tokens = torch::randint(11, {4, 9});
  const auto logits = model(tokens.slice(1, 0, 8));
  return torch::nn::functional::cross_entropy(
      logits.reshape({-1, 11}), tokens.slice(1, 1).reshape({-1}));
}

double difference(SmallModel& a, SmallModel& b) {
  double largest = 0;
  const auto other = b->named_parameters();
  for (const auto& item : a->named_parameters()) {
    largest = std::max(
        largest, (item.value() - other[item.key()]).abs().max().item<double>());
  }
  return largest;
}

TEST(AdamW, EqualsTorchsOwnWithClipping) {
  for (const double clip : {0.0, 0.05, 100.0}) {
    torch::manual_seed(0);
    SmallModel ours(11, 0.0);
    auto theirs =
        SmallModel(std::dynamic_pointer_cast<SmallModelImpl>(ours->clone()));
    FusedAdamW optimizer(*ours, AdamWOptions().clip(clip));
    std::vector<torch::Tensor> decay, rest;
    for (const auto& item : theirs->named_parameters()) {
      (item.value().dim() == 2 ? decay : rest).push_back(item.value());
    }
    const auto defaults =
        torch::optim::AdamWOptions(1e-2).betas({0.9, 0.99}).eps(1e-8);
    torch::optim::AdamW reference(
        std::vector<torch::optim::OptimizerParamGroup>{
            {decay,
             std::make_unique<torch::optim::AdamWOptions>(
                 torch::optim::AdamWOptions(defaults).weight_decay(0.1))},
            {rest,
             std::make_unique<torch::optim::AdamWOptions>(
                 torch::optim::AdamWOptions(defaults).weight_decay(0))}},
        defaults);
    for (int64_t step = 0; step < 20; ++step) {
      loss_of(ours, step).backward();
      const auto norm = optimizer.step(1e-2);
      optimizer.zero_grad();
      reference.zero_grad();
      loss_of(theirs, step).backward();
      const auto reference_norm = torch::nn::utils::clip_grad_norm_(
          theirs->parameters(),
          clip > 0 ? clip : std::numeric_limits<double>::infinity());
      reference.step();
      EXPECT_NEAR(norm.item<double>(), reference_norm, 1e-5);
    }
    EXPECT_LT(difference(ours, theirs), 1e-5) << "clip " << clip;
  }
}

TEST(AdamW, DecayIsForMatricesThatAreNotFilters) {
  const auto matrix = torch::zeros({3, 3});
  EXPECT_TRUE(decays("blocks.0.query.weight", matrix));
  EXPECT_TRUE(decays("embedding.coefficients", matrix));
  EXPECT_FALSE(decays("blocks.0.query.bias", torch::zeros({3})));
  EXPECT_FALSE(decays("norm.weight", torch::zeros({3})));
  EXPECT_FALSE(decays("blocks.0.filter.weight", matrix));
  EXPECT_FALSE(decays("blocks.0.taps", matrix));
}

TEST(AdamW, KernelCoefficientsHaveADecayOfTheirOwn) {
  struct Kernels : torch::nn::Module {
    Kernels() {
      register_parameter("weight", torch::ones({2, 2}));
      register_parameter("kernel_terms", torch::ones({2, 2}));
      register_parameter("skip", torch::ones({2}));
    }
  } module;
  FusedAdamW optimizer(
      module, AdamWOptions().weight_decay(0.5).kernel_decay(0.25));
  for (auto& p : module.parameters()) {
    p.mutable_grad() = torch::zeros_like(p);
  }
  optimizer.step(0.1);
  const auto now = module.named_parameters();
  EXPECT_NEAR(now["weight"][0][0].item<double>(), 0.95, 1e-6);
  EXPECT_NEAR(now["kernel_terms"][0][0].item<double>(), 0.975, 1e-6);
  EXPECT_EQ(now["skip"][0].item<double>(), 1);
}

TEST(AdamW, TheRateMayLieOnTheDevice) {
  SmallModel a(11, 0.0);
  auto b = SmallModel(std::dynamic_pointer_cast<SmallModelImpl>(a->clone()));
  FusedAdamW one(*a), other(*b);
  for (int64_t step = 0; step < 5; ++step) {
    loss_of(a, step).backward();
    one.step(1e-2);
    one.zero_grad();
    loss_of(b, step).backward();
    other.step(torch::tensor(1e-2f));
    other.zero_grad();
  }
  EXPECT_LT(difference(a, b), 1e-6);
}

TEST(AdamW, AStepThatIsNotFiniteChangesNothing) {
  SmallModel model(11, 0.0);
  FusedAdamW optimizer(*model);
  loss_of(model, 1).backward();
  optimizer.step(1e-2);
  optimizer.zero_grad();
  auto before =
      SmallModel(std::dynamic_pointer_cast<SmallModelImpl>(model->clone()));
  TensorMap state;
  for (const auto& [name, tensor] : optimizer.state()) {
    state[name] = tensor.clone();
  }
  (loss_of(model, 2) * std::numeric_limits<float>::infinity()).backward();
  EXPECT_FALSE(std::isfinite(optimizer.step(1e-2).item<double>()));
  EXPECT_EQ(difference(model, before), 0);
  for (const auto& [name, tensor] : optimizer.state()) {
    EXPECT_TRUE(tensor.equal(state.at(name))) << name;
  }
}

TEST(AdamW, StateThatDoesNotFitIsRefused) {
  SmallModel model(11), other(12);
  FusedAdamW optimizer(*model);
  EXPECT_THROW(optimizer.load_state({}), c10::Error);
  EXPECT_THROW(optimizer.load_state(FusedAdamW(*other).state()), c10::Error);
  EXPECT_THROW(optimizer.step(1e-3), c10::Error); // no gradients
}

} // namespace
} // namespace signalllm::training
