#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

namespace signalllm {

/// A language model that sees one token back: enough to train something in
/// milliseconds. It has a dropout (random numbers) and a buffer.
struct SmallModelImpl : torch::nn::Cloneable<SmallModelImpl> {
  explicit SmallModelImpl(int64_t vocabulary, double dropout_ = 0.1)
      : size(vocabulary), rate(dropout_) {
    reset();
  }
  void reset() override {
    table = register_module("table", torch::nn::Embedding(size, 16));
    dropout = register_module("dropout", torch::nn::Dropout(rate));
    head = register_module("head", torch::nn::Linear(16, size));
    calls = register_buffer("calls", torch::zeros({}, torch::kLong));
  }
  torch::Tensor forward(const torch::Tensor& tokens) {
    if (is_training()) {
      calls += 1;
    }
    return head(dropout(torch::tanh(table(tokens))));
  }

  int64_t size;
  double rate;
  torch::nn::Embedding table{nullptr};
  torch::nn::Dropout dropout{nullptr};
  torch::nn::Linear head{nullptr};
  torch::Tensor calls;
};
TORCH_MODULE(SmallModel);

} // namespace signalllm
