// What the parts of SignalLLM launch on MPS: as they are built, optimized but
// composed of torch's operators, and optimized with Metal kernels. The program
// prints the table of docs/mps.md.
#include "mps/metal_cases.h"

#include <signalllm/nn/model.h>
#include <signalllm/nn/mps_optimized_attention.h>
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>

#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/container/sequential.h>

#include <iostream>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct Counts {
  int64_t forward = 0, backward = 0;
  int64_t both() const {
    return forward + backward;
  }
};

std::string table() {
  std::string out;
  for (const auto& [name, count] : host_mps::counters().operators) {
    out += " " + name + ":" + std::to_string(count);
  }
  return out;
}

/// Of a call with gradients of everything it depends on.
template <class Call>
Counts count(const char* what, const Call& call) {
  Counts c;
  const Launches forward;
  const auto y = call();
  c.forward = forward.all();
  std::cout << what << ", forward " << c.forward << ":" << table() << "\n";
  const auto g = at::randn_like(y);
  const Launches backward;
  y.backward(g);
  c.backward = backward.all();
  std::cout << what << ", backward " << c.backward << ":" << table() << "\n";
  return c;
}

struct Row {
  Counts standard, composed, metal;
};

void print(const char* what, const Row& r) {
  const auto cells = [](const Counts& c) {
    return std::to_string(c.forward) + " + " + std::to_string(c.backward);
  };
  std::cout << "| " << what << " | " << cells(r.standard) << " | "
            << cells(r.composed) << " | " << cells(r.metal) << " |\n";
}

/// `make()` twice, one of them optimized; `call` runs what it is given.
template <class Make, class Call>
Row row(const char* what, const Make& make, const Call& call) {
  auto standard = make();
  auto optimized = make();
  standard->to(at::kMPS);
  optimize_for_mps(optimized, at::kMPS);
  Row r;
  r.standard = count("standard", [&] { return call(standard); });
  mps::enable(false);
  r.composed = count("composed", [&] { return call(optimized); });
  mps::enable(true);
  for (auto& parameter : optimized->parameters()) {
    parameter.mutable_grad().reset();
  }
  r.metal = count("with Metal", [&] { return call(optimized); });
  print(what, r);
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
  EXPECT_LE(3 * r.metal.both(), r.standard.both());
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
    EXPECT_LE(3 * r.metal.both(), r.standard.both());
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
  EXPECT_LE(3 * r.metal.forward, r.standard.forward);
  EXPECT_LE(3 * r.metal.backward, r.standard.backward);
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
  EXPECT_LE(r.metal.both(), 4);
}

TEST(LaunchesMps, ModelLaunchesAThird) {
  const auto tokens = on_mps(at::randint(17, {2, 41}, at::kLong));
  const auto r = row(
      "model of 2 blocks",
      [] { return SignalLLM(SignalLLMOptions(17).dim(32).layers(2).heads(4)); },
      [&](SignalLLM& model) {
        return torch::nn::functional::cross_entropy(
            model->forward(tokens.slice(1, 0, -1)).reshape({-1, 17}),
            tokens.slice(1, 1).reshape({-1}));
      });
  EXPECT_LE(3 * r.metal.forward, r.standard.forward);
  EXPECT_LE(3 * r.metal.backward, r.standard.backward);
}

} // namespace
