#include "foreign.h"
#include "support.h"

#include <signalllm/optimize.h>

#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/lbfgs.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <memory>

using namespace signalllm;
using namespace signalllm::test;

using Kind = OptimizeEntry::Kind;

struct OptimizeMoveTest : testing::Test {
  torch::Tensor input = torch::randn({2, 11, 4});
};

TEST_F(OptimizeMoveTest, CheckpointsLoadBothWays) {
  for (const bool from_swapped : {true, false}) {
    Foreign saved;
    Foreign loaded;
    optimize_for_mps(from_swapped ? saved : loaded, torch::kCPU);
    std::stringstream stream;
    torch::save(saved, stream);
    torch::load(loaded, stream);
    expect_close(loaded->forward(input), saved->forward(input), 1e-5);
  }
}

TEST_F(OptimizeMoveTest, OptimizerMadeBeforeKeepsStepping) {
  for (const bool stepped : {false, true}) {
    Foreign swapped;
    auto plain =
        Foreign(std::dynamic_pointer_cast<ForeignImpl>(swapped->clone()));
    std::vector<std::unique_ptr<torch::optim::Optimizer>> optimizers;
    for (auto* model : {&swapped, &plain}) {
      optimizers.push_back(std::make_unique<torch::optim::AdamW>(
          (*model)->parameters(), torch::optim::AdamWOptions(0.01)));
    }
    const auto step = [&](Foreign& model, torch::optim::Optimizer& optimizer) {
      optimizer.zero_grad();
      model->forward(input).square().sum().backward();
      optimizer.step();
    };
    if (stepped) {
      step(swapped, *optimizers[0]);
      step(plain, *optimizers[1]);
    }
    optimize_for_mps(swapped, *optimizers[0], torch::kCPU);
    for (int i = 0; i < 5; ++i) {
      step(swapped, *optimizers[0]);
      step(plain, *optimizers[1]);
    }
    expect_close(swapped->forward(input), plain->forward(input), 1e-4);
    EXPECT_GT(
        max_error(swapped->forward(input), Foreign()->forward(input)), 1e-3);
  }
}

TEST_F(OptimizeMoveTest, KnowsTheStateOfTorchsOptimizers) {
  const auto run = [&](auto make) {
    Foreign model;
    auto optimizer = make(model->parameters());
    const auto loss = [&] {
      optimizer->zero_grad();
      auto value = model->forward(input).square().sum();
      value.backward();
      return value;
    };
    optimizer->step(loss);
    ASSERT_FALSE(optimizer->state().empty());
    const auto report = optimize_for_mps(model, *optimizer, torch::kCPU);
    EXPECT_EQ(report.count(Kind::Left), 0);
    optimizer->step(loss);
  };
  using namespace torch::optim;
  using Parameters = std::vector<torch::Tensor>;
  run([](Parameters p) { return std::make_unique<Adam>(p); });
  run([](Parameters p) {
    return std::make_unique<AdamW>(p, AdamWOptions().amsgrad(true));
  });
  run([](Parameters p) {
    return std::make_unique<SGD>(p, SGDOptions(1e-3).momentum(0.9));
  });
  run([](Parameters p) {
    return std::make_unique<RMSprop>(
        p, RMSpropOptions().momentum(0.9).centered(true));
  });
  run([](Parameters p) { return std::make_unique<Adagrad>(p); });
  run([](Parameters p) { return std::make_unique<LBFGS>(p); });
}

TEST_F(OptimizeMoveTest, KeepsGradients) {
  Foreign model;
  model->forward(input).sum().backward();
  const auto before = model->mixer->skip.grad().clone();
  optimize_for_mps(model, torch::kCPU);
  expect_close(model->mixer->skip.grad(), before, 0);
  model->zero_grad();
  EXPECT_FALSE(model->mixer->skip.grad().defined());
}

TEST_F(OptimizeMoveTest, ParametersKeepNamesIdentityAndFlags) {
  Foreign model;
  model->mixer->skip.set_requires_grad(false);
  const auto keys = model->named_parameters().keys();
  std::vector<const void*> before;
  for (const auto& p : model->parameters()) {
    before.push_back(p.unsafeGetTensorImpl());
  }
  optimize_for_mps(model, torch::kCPU);
  EXPECT_EQ(model->named_parameters().keys(), keys);
  std::vector<const void*> after;
  for (const auto& p : model->parameters()) {
    after.push_back(p.unsafeGetTensorImpl());
  }
  EXPECT_EQ(after, before);
  EXPECT_FALSE(model->named_parameters()["mixer.skip"].requires_grad());
  const auto copy = std::dynamic_pointer_cast<ForeignImpl>(model->clone());
  EXPECT_FALSE(copy->named_parameters()["mixer.skip"].requires_grad());
  EXPECT_TRUE(copy->named_parameters()["mixer.log_decay"].requires_grad());
}
