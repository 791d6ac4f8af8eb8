#pragma once

#include "support.h"

#include <signalllm/nn/attention.h>

#include <algorithm>
#include <vector>

namespace signalllm::test {

/// Runs `module` piece by piece.
template <typename State, typename Module>
torch::Tensor in_pieces(Module& module, const torch::Tensor& x) {
  State state;
  std::vector<torch::Tensor> parts;
  int64_t at = 0;
  for (int64_t length = 5; at < x.size(1); length = length == 1 ? 3 : 1) {
    const auto end = std::min(at + length, x.size(1));
    parts.push_back(module.forward_incremental(x.slice(1, at, end), state));
    at = end;
  }
  return torch::cat(parts, 1);
}

/// Standard and twin of the same parameters: outputs and gradients.
template <typename Standard>
void expect_twin_agrees(Standard& standard, const torch::Tensor& input) {
  MPSOptimizedAttentionImpl<Standard> twin(standard);
  const auto run = [&](Standard& module) {
    const auto x = input.clone().requires_grad_();
    auto leaves = module.parameters();
    leaves.push_back(x);
    const auto y = module.forward(x);
    auto all = torch::autograd::grad({y.square().sum()}, leaves);
    all.push_back(y.detach());
    return all;
  };
  const auto expected = run(standard);
  const auto actual = run(twin);
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_close(actual[i], expected[i], 1e-10);
  }
}

} // namespace signalllm::test
