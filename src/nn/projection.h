#pragma once

#include <torch/nn/modules/linear.h>

namespace signalllm {

/// A matrix of weights without a bias, as every mixer has at both its ends.
inline torch::nn::Linear projection(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

} // namespace signalllm
