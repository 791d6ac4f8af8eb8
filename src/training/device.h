#pragma once

#include <torch/nn/module.h>

namespace signalllm::training {

/// Where the model's first parameter (or else buffer) is; the CPU without any.
inline at::Device device_of(const torch::nn::Module& model) {
  for (const auto& parameter : model.parameters()) {
    return parameter.device();
  }
  for (const auto& buffer : model.buffers()) {
    return buffer.device();
  }
  return at::kCPU;
}

} // namespace signalllm::training
