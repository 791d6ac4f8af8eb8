#include "training/muon.h"

#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/training/adamw.h>

#include <ATen/ops/linalg_svd.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <limits>

namespace signalllm::training {
namespace {

struct MuonTest : testing::Test {
  /// A part with a matrix.
  struct Part : torch::nn::Module {
    Part(const std::string& name, int64_t rows) {
      register_module(
          name,
          torch::nn::Linear(torch::nn::LinearOptions(6, rows).bias(false)));
    }
  };
  /// Three matrices in one, one alone, and what AdamW keeps.
  struct Parts : torch::nn::Module {
    Parts() {
      register_module("mixer", std::make_shared<Part>("in_proj", 12));
      register_module("feed_forward", std::make_shared<Part>("in_proj", 12));
      register_module("embedding", torch::nn::Embedding(5, 6));
      register_parameter("norm", torch::randn({6}));
    }
  };
  static void set_gradients(torch::nn::Module& module, int64_t seed) {
    torch::manual_seed(seed);
    for (auto& p : module.parameters()) {
      p.mutable_grad() = torch::randn_like(p);
    }
  }
};

/// The iteration as it is written down, a matrix at a time.
torch::Tensor reference(const torch::Tensor& matrix) {
  auto x = matrix.to(torch::kDouble);
  x = x / x.square().sum().sqrt();
  for (int i = 0; i < 5; ++i) {
    const auto g = x.mm(x.t());
    x = 3.4445 * x + (-4.7750 * g + 2.0315 * g.mm(g)).mm(x);
  }
  return x;
}

TEST_F(MuonTest, DirectionsKeepTheirVectorsAndLoseTheirSizes) {
  for (const auto& [rows, columns] :
       {std::pair{8, 8}, std::pair{5, 9}, std::pair{9, 5}}) {
    const auto x = torch::randn({3, rows, columns});
    const auto y = orthogonalized(x);
    for (int64_t i = 0; i < 3; ++i) {
      test::expect_close(y[i], reference(x[i]).to(torch::kFloat), 1e-4);
      const auto [u, s, v] = at::linalg_svd(x[i], false);
      const auto inside = u.t().mm(y[i]).mm(v.t());
      // Diagonal: the same singular vectors.
      test::expect_close(inside, inside.diagonal().diag_embed(), 1e-4);
      // Only what is tiny beside the rest stays small.
      const auto large = inside.diagonal().masked_select(s > 0.1 * s.max());
      EXPECT_GT(large.min().item<double>(), 0.6);
      EXPECT_LT(large.max().item<double>(), 1.3);
    }
  }
  EXPECT_EQ(
      orthogonalized(torch::zeros({1, 4, 4})).abs().max().item<double>(), 0);
}

TEST_F(MuonTest, StepsAsWritten) {
  Parts module;
  FusedAdamW optimizer(
      module, AdamWOptions().muon(true).weight_decay(0.1).clip(0));
  const auto now = module.named_parameters();
  auto mixer = now["mixer.in_proj.weight"].detach().clone();
  auto single = now["feed_forward.in_proj.weight"].detach().clone();
  auto mixer_mean = torch::zeros_like(mixer);
  auto single_mean = torch::zeros_like(single);
  const double rate = 0.01;
  for (int64_t step = 0; step < 3; ++step) {
    set_gradients(module, step);
    const auto update = [&](torch::Tensor& weight,
                            torch::Tensor& mean,
                            const torch::Tensor& gradient,
                            int64_t parts) {
      mean = 0.95 * mean + 0.05 * gradient;
      const auto ahead = 0.95 * mean + 0.05 * gradient;
      weight = weight * (1 - rate * 0.1);
      const auto rows = weight.size(0) / parts;
      for (int64_t p = 0; p < parts; ++p) {
        weight.narrow(0, p * rows, rows) -= rate * 0.2 *
            std::sqrt(static_cast<double>(std::max<int64_t>(rows, 6))) *
            reference(ahead.narrow(0, p * rows, rows)).to(torch::kFloat);
      }
    };
    update(mixer, mixer_mean, now["mixer.in_proj.weight"].grad(), 3);
    update(single, single_mean, now["feed_forward.in_proj.weight"].grad(), 1);
    optimizer.step(rate);
    optimizer.zero_grad();
    EXPECT_FALSE(now["mixer.in_proj.weight"].grad().defined());
  }
  test::expect_close(now["mixer.in_proj.weight"].detach(), mixer, 1e-5);
  test::expect_close(now["feed_forward.in_proj.weight"].detach(), single, 1e-5);
}

TEST_F(MuonTest, LeavesTheRestToAdamW) {
  Parts a, b;
  {
    torch::NoGradGuard no_grad;
    const auto other = b.named_parameters();
    for (auto& item : a.named_parameters()) {
      item.value().copy_(other[item.key()]);
    }
  }
  FusedAdamW with(a, AdamWOptions().muon(true)), without(b);
  for (int64_t step = 0; step < 3; ++step) {
    set_gradients(a, step);
    set_gradients(b, step);
    // Clipping by the norm of all gradients, Muon's among them.
    EXPECT_NEAR(
        with.step(0.01).item<double>(),
        without.step(0.01).item<double>(),
        1e-5);
  }
  const auto x = a.named_parameters(), y = b.named_parameters();
  test::expect_close(x["norm"].detach(), y["norm"].detach(), 1e-6);
  test::expect_close(
      x["embedding.weight"].detach(), y["embedding.weight"].detach(), 1e-6);
  EXPECT_GT(
      (x["mixer.in_proj.weight"] - y["mixer.in_proj.weight"])
          .abs()
          .max()
          .item<double>(),
      1e-3);
}

TEST_F(MuonTest, AStepThatIsNotFiniteChangesNothing) {
  Parts module;
  FusedAdamW optimizer(module, AdamWOptions().muon(true));
  set_gradients(module, 1);
  optimizer.step(torch::tensor(0.01f));
  std::vector<torch::Tensor> before;
  for (const auto& p : module.parameters()) {
    before.push_back(p.detach().clone());
  }
  TensorMap state;
  for (const auto& [name, tensor] : optimizer.state()) {
    state[name] = tensor.clone();
  }
  set_gradients(module, 2);
  module.named_parameters()["norm"].mutable_grad().fill_(
      std::numeric_limits<float>::quiet_NaN());
  module.named_parameters()["mixer.in_proj.weight"].mutable_grad().fill_(
      std::numeric_limits<float>::infinity());
  EXPECT_FALSE(
      std::isfinite(optimizer.step(torch::tensor(0.01f)).item<float>()));
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(module.parameters()[i].equal(before[i])) << i;
  }
  for (const auto& [name, tensor] : optimizer.state()) {
    EXPECT_TRUE(tensor.equal(state.at(name))) << name;
  }
}

TEST_F(MuonTest, GoesOnFromItsState) {
  Parts a, b;
  FusedAdamW one(a, AdamWOptions().muon(true));
  set_gradients(a, 1);
  one.step(0.01);
  EXPECT_EQ(one.state().count("adamw.mean.mixer.in_proj.weight"), 1u);
  EXPECT_EQ(one.state().count("adamw.square.mixer.in_proj.weight"), 0u);
  FusedAdamW other(b, AdamWOptions().muon(true));
  other.load_state(one.state());
  torch::NoGradGuard no_grad;
  const auto source = a.named_parameters();
  for (auto& item : b.named_parameters()) {
    item.value().copy_(source[item.key()]);
  }
  set_gradients(a, 2);
  set_gradients(b, 2);
  one.step(0.01);
  other.step(0.01);
  for (const auto& item : b.named_parameters()) {
    EXPECT_TRUE(item.value().equal(source[item.key()])) << item.key();
  }
}

TEST_F(MuonTest, TakesEveryMatrixOfTheModelsBlocks) {
  SignalLLM model(SignalLLMOptions(17).dim(16).layers(2).heads(4));
  FusedAdamW optimizer(*model, AdamWOptions().muon(true));
  int64_t matrices = 0;
  const auto state = optimizer.state();
  for (const auto& item : model->named_parameters()) {
    const bool muon = state.count("adamw.square." + item.key()) == 0;
    EXPECT_EQ(
        muon,
        item.key().starts_with("blocks") && item.key().ends_with("proj.weight"))
        << item.key();
    matrices += muon;
  }
  EXPECT_EQ(matrices, 12);
}

} // namespace
} // namespace signalllm::training
