// AdamW on MPS: the CPU's update in few launches, without a look at the values.
#include "mps/faults.h"

#include <signalllm/nn/model.h>
#include <signalllm/training/adamw.h>

#include <ATen/ATen.h>

#include <limits>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct MpsAdamW : testing::Test {};

struct MixedImpl : torch::nn::Module {
  MixedImpl() {
    matrix = register_parameter("matrix_weight", torch::randn({3, 4}));
    other =
        register_parameter("other", torch::randn({5, 2, 3}).transpose(0, 2));
    unused = register_parameter("unused", torch::randn({2}));
  }
  void set_gradients(double scale) {
    for (auto* p : {&matrix, &other}) {
      // In the parameter's layout, as autograd makes it.
      p->mutable_grad() = at::empty_like(p->detach());
      p->mutable_grad().copy_(
          at::arange(p->numel(), p->options().requires_grad(false))
              .square()
              .mul(0.37)
              .sin()
              .view(p->sizes()) *
          scale);
    }
  }
  at::Tensor matrix, other, unused;
};

TEST_F(MpsAdamW, AStepThatIsNotFiniteChangesNothing) {
  for (const auto& options :
       {training::AdamWOptions().clip(0),
        training::AdamWOptions().clip(0.5),
        training::AdamWOptions().clip(0.5).muon(true)}) {
    for (const double bad :
         {std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()}) {
      SCOPED_TRACE(
          std::string(options.muon() ? "muon, " : "") + "clip " +
          std::to_string(options.clip()) + ", " + std::to_string(bad));
      torch::manual_seed(0);
      MixedImpl cpu, mps;
      for (const auto& item : cpu.named_parameters()) {
        at::NoGradGuard no_grad;
        mps.named_parameters()[item.key()].copy_(item.value());
      }
      mps.to(torch::kMPS);
      ASSERT_FALSE(mps.other.is_contiguous());
      training::FusedAdamW right(cpu, options), ours(mps, options);
      const auto step = [&](double scale) {
        cpu.set_gradients(scale);
        mps.set_gradients(scale);
        right.step(1e-2);
        EXPECT_EQ(faults([&] { ours.step(1e-2); }), "");
      };
      step(1.0);
      std::vector<at::Tensor> before;
      for (const auto& p : mps.parameters()) {
        before.push_back(p.detach().cpu().clone());
      }
      cpu.set_gradients(1);
      mps.set_gradients(1);
      mps.matrix.mutable_grad()[1][2] = bad;
      cpu.matrix.mutable_grad()[1][2] = bad;
      right.step(1e-2);
      EXPECT_EQ(faults([&] { ours.step(1e-2); }), "");
      for (size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(mps.parameters()[i].cpu().equal(before[i]));
      }
      step(0.3);
      const auto expected = cpu.named_parameters();
      for (const auto& item : mps.named_parameters()) {
        SCOPED_TRACE(item.key());
        expect_close(item.value().cpu(), expected[item.key()], 1e-6);
      }
      const auto state = right.state();
      for (const auto& [name, tensor] : ours.state()) {
        SCOPED_TRACE(name);
        expect_close(tensor.cpu(), state.at(name), 1e-6);
      }
    }
  }
}

TEST_F(MpsAdamW, AnUpdateLaunchesLittle) {
  SignalLLM model(SignalLLMOptions(17).dim(16).layers(4));
  model->to(torch::kMPS);
  ASSERT_GT(model->parameters().size(), 40u);
  training::FusedAdamW optimizer(*model);
  for (const auto& p : model->parameters()) {
    p.mutable_grad() = at::ones_like(p);
  }
  host_mps::reset();
  optimizer.step(1e-3);
  EXPECT_LE(host_mps::counters().launches(), 24) << launched();
}

} // namespace
