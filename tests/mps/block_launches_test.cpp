// What the parts of SignalLLM launch on MPS, standard and optimized.
#include "mps/metal_cases.h"

#include <signalllm/nn/block.h>
#include <signalllm/nn/mps_optimized_attention.h>
#include <signalllm/optimize.h>

#include <iostream>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct Counts {
  int64_t forward = 0, backward = 0;
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
Counts count(const char* what, const Call& call, const at::Tensor& leaf) {
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
  EXPECT_TRUE(leaf.grad().defined());
  return c;
}

TEST(LaunchesMps, FourierBranchIsAFewKernelsBesideItsTaps) {
  const auto options =
      FourierConvolutionAttentionOptions(16).max_length(64).terms(4);
  FourierConvolutionAttention standard(options);
  MPSOptimizedAttention fused(options);
  standard->to(at::kMPS);
  fused->to(at::kMPS);
  const auto x = on_mps(at::randn({2, 40, 16})).requires_grad_();
  const auto taps = count(
      "taps", [&] { return fused->kernel(40); }, fused->kernel_terms);
  fused->zero_grad();
  const auto before = count(
      "standard branch", [&] { return standard->forward(x); }, x);
  const auto after = count(
      "optimized branch", [&] { return fused->forward(x); }, x);
  // Two linear maps, the filter, the convolution and the norm.
  EXPECT_LE(after.forward - taps.forward, 2 * 2 + 3);
  EXPECT_LE(2 * (after.forward - taps.forward), before.forward - taps.forward);
  EXPECT_LE(
      2 * (after.backward - taps.backward), before.backward - taps.backward);
}

TEST(LaunchesMps, BlockLaunchesLessOptimized) {
  WaveletTransformerBlock standard(WaveletTransformerBlockOptions(32, 4));
  WaveletTransformerBlock optimized(WaveletTransformerBlockOptions(32, 4));
  standard->to(at::kMPS);
  optimize_for_mps(optimized, at::kMPS);
  const auto x = on_mps(at::randn({2, 40, 32})).requires_grad_();
  const auto before = count(
      "standard block", [&] { return standard->forward(x); }, x);
  const auto after = count(
      "optimized block", [&] { return optimized->forward(x); }, x);
  EXPECT_LT(after.forward, before.forward);
  EXPECT_LT(after.backward, before.backward);
}

} // namespace
