// What the parts of SignalLLM launch on MPS: built of torch's operators alone,
// as they are built, optimized without Metal, and optimized with it. The
// program prints the table of docs/mps.md.
#include "mps/metal_cases.h"

#include <signalllm/nn/model.h>
#include <signalllm/nn/mps_optimized_attention.h>
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>
#include <signalllm/training/adamw.h>

#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <functional>
#include <iostream>
#include <memory>
#include <string>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct Counts {
  int64_t forward = 0, backward = 0, update = 0;
  int64_t all() const {
    return forward + backward + update;
  }
  std::string cell() const {
    return std::to_string(forward) + " + " + std::to_string(backward) +
        (update > 0 ? " + " + std::to_string(update) : "");
  }
};

/// Launches of `call`, whose names are printed.
template <class Call>
int64_t launches_of(const std::string& what, const Call& call) {
  const Launches launches;
  call();
  std::cout << what << " " << launches.all() << ":";
  for (const auto& [name, count] : host_mps::counters().operators) {
    std::cout << " " << name << ":" << count;
  }
  std::cout << "\n";
  return launches.all();
}

/// Makes what happens to a module's gradients.
using Update = std::function<std::function<void()>(torch::nn::Module&)>;

/// Of a call with gradients of everything it depends on.
template <class Holder, class Call>
Counts count(
    const std::string& what,
    Holder& module,
    const Call& call,
    const Update& update) {
  Counts c;
  at::Tensor y;
  c.forward = launches_of(what + ", forward", [&] { y = call(module); });
  const auto g = at::randn_like(y);
  c.backward = launches_of(what + ", backward", [&] { y.backward(g); });
  if (update) {
    c.update = launches_of(what + ", update", update(*module));
  }
  for (auto& parameter : module->parameters()) {
    parameter.mutable_grad().reset();
  }
  return c;
}

/// A part of the table: modules of torch's operators alone, those modules as
/// they are, optimized without Metal, and with it.
struct Row {
  Counts torch, standard, composed, metal;

  /// A third of what the standard modules launch, however they are counted;
  /// and no more without Metal than they do.
  void expect_a_third() const {
    EXPECT_LE(3 * metal.forward, standard.forward);
    EXPECT_LE(3 * metal.all(), standard.all());
    EXPECT_LE(standard.all(), torch.all());
    EXPECT_LE(composed.forward, torch.forward);
    EXPECT_LE(composed.all(), torch.all());
  }
};

/// `make()` twice, one of them optimized; `call` runs what it is given.
template <class Make, class Call>
Row row(
    const char* what,
    const Make& make,
    const Call& call,
    const Update& update = {}) {
  auto standard = make();
  auto optimized = make();
  standard->to(at::kMPS);
  optimize_for_mps(optimized, at::kMPS);
  Row r;
  mps::enable(false);
  r.torch = count("torch's operators", standard, call, update);
  r.composed = count("optimized without Metal", optimized, call, update);
  mps::enable(true);
  r.standard = count("standard", standard, call, update);
  r.metal = count("optimized", optimized, call, update);
  std::cout << "| " << what << " | " << r.torch.cell() << " | "
            << r.standard.cell() << " | " << r.composed.cell() << " | "
            << r.metal.cell() << " |\n";
  return r;
}

/// Forward of a batch of 2 with 40 positions.
auto forward_of(int64_t width) {
  return [x = on_mps(at::randn({2, 40, width}))](auto& module) {
    return module->forward(x.detach().requires_grad_());
  };
}

TEST(LaunchesMps, FourierBranchIsAFewKernels) {
  const auto r = row(
      "Fourier branch",
      [] {
        return torch::nn::Sequential(FourierConvolutionAttention(
            FourierConvolutionAttentionOptions(16).max_length(64).terms(4)));
      },
      forward_of(16));
  // Two linear maps, the filter, the taps, the convolution and the norm.
  EXPECT_LE(r.metal.forward, 6);
  EXPECT_LE(r.metal.backward, 12);
  r.expect_a_third();
}

TEST(LaunchesMps, AttentionIsAFewKernels) {
  for (const int64_t window : {0, 4}) {
    const auto r = row(
        window > 0 ? "attention over the tree" : "attention",
        [&] {
          return torch::nn::Sequential(
              WaveletAttention(WaveletAttentionOptions(16, 2)
                                   .filter(FilterKind::Short)
                                   .qk_norm(true)
                                   .window(window)));
        },
        forward_of(16));
    // Two linear maps, the filter, the heads and their attention.
    EXPECT_LE(r.metal.forward, 5);
    EXPECT_LE(r.metal.backward, window > 0 ? 10 : 9);
    r.expect_a_third();
  }
}

TEST(LaunchesMps, BlockLaunchesAThird) {
  const auto r = row(
      "block",
      [] {
        return WaveletTransformerBlock(WaveletTransformerBlockOptions(32, 4));
      },
      forward_of(32));
  EXPECT_LE(r.metal.forward, 24);
  EXPECT_LE(r.metal.backward, 44);
  r.expect_a_third();
}

TEST(LaunchesMps, RoundTripIsFourKernels) {
  const auto r = row(
      "round trip",
      [] {
        return torch::nn::Sequential(WaveletTransform(
            WaveletTransformOptions("db4").level(3).causal(false).mode(
                "reflect")));
      },
      [x = on_mps(at::randn({2, 40, 8}))](auto& module) {
        auto* transform = module->ptr(0)->template as<WaveletTransformImpl>();
        const auto leaf = x.detach().requires_grad_();
        return transform->inverse(transform->forward(leaf), x.size(1));
      });
  EXPECT_LE(r.metal.all(), 4);
  EXPECT_LE(r.composed.all(), r.torch.all());
}

/// Two blocks, a batch of 2 with 40 tokens and the loss.
SignalLLM small_model() {
  return SignalLLM(SignalLLMOptions(17).dim(32).layers(2).heads(4));
}
auto loss_of_tokens() {
  return
      [tokens = on_mps(at::randint(17, {2, 41}, at::kLong))](SignalLLM& model) {
        return torch::nn::functional::cross_entropy(
            model->forward(tokens.slice(1, 0, -1)).reshape({-1, 17}),
            tokens.slice(1, 1).reshape({-1}));
      };
}

Update stepping(const training::AdamWOptions& options) {
  return [options](torch::nn::Module& module) {
    return
        [optimizer = std::make_shared<training::FusedAdamW>(module, options)] {
          optimizer->step(1e-3);
        };
  };
}

TEST(LaunchesMps, ModelLaunchesAThird) {
  row("model of 2 blocks", small_model, loss_of_tokens()).expect_a_third();
}

TEST(LaunchesMps, TrainingStepLaunchesAThird) {
  const auto r =
      row("training step, AdamW",
          small_model,
          loss_of_tokens(),
          stepping(training::AdamWOptions()));
  EXPECT_LE(r.metal.update, 20);
  r.expect_a_third();
}

TEST(LaunchesMps, TrainingStepWithMuonLaunchesLess) {
  const auto r =
      row("training step, Muon",
          small_model,
          loss_of_tokens(),
          stepping(training::AdamWOptions().muon(true)));
  EXPECT_LE(r.metal.update, 240);
  EXPECT_LT(r.metal.all(), r.standard.all());
}

TEST(LaunchesMps, TorchsAdamWIsAnOperatorAParameterAndMore) {
  auto model = small_model();
  model->to(at::kMPS);
  loss_of_tokens()(model).backward();
  const auto launches = launches_of("torch's AdamW and clip", [&] {
    torch::nn::utils::clip_grad_norm_(model->parameters(), 1.0);
    torch::optim::AdamW(model->parameters()).step();
  });
  EXPECT_GT(launches, static_cast<int64_t>(4 * model->parameters().size()));
}

} // namespace
