/// ListOps with an encoder: a worked example of the modules without
/// causality. A sequence such as `[MAX 2 9 [MIN 4 7 ] 0 ]` has a value, 0 to 9
/// (here 9), that depends on its nesting; the encoder sees the sequence as a
/// whole and names the value (Nangia and Bowman, "ListOps", 2018; Tay et al.,
/// "Long Range Arena", 2020).
///
///   signalllm_listops [STEPS]      default 1500, about ten minutes on two
///   cores
///
/// Prints the accuracy on sequences that were not trained on, beside that of
/// always naming the most frequent value, and returns 1 if it is no better.
#include <signalllm/nn/block.h>
#include <signalllm/nn/embedding.h>
#include <signalllm/optimize.h>

#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adamw.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <numeric>
#include <random>

namespace {

constexpr int64_t max_length = 64;
/// Tokens: padding, the ten digits, four operators that open a list, its end.
enum Token : int64_t { Pad, Zero, Min = 11, Max, Med, SumMod, End, Count };

/// Appends a random expression of at most `room` >= 1 tokens; its value.
int64_t expression(
    std::vector<int64_t>& tokens,
    int64_t room,
    int depth,
    std::mt19937_64& random) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  if (room < 4 || depth == 0 || (depth < 4 && pick(0, 1) == 0)) {
    tokens.push_back(Zero + pick(0, 9));
    return tokens.back() - Zero;
  }
  const auto op = pick(Min, SumMod);
  tokens.push_back(op);
  const auto end = static_cast<int64_t>(tokens.size()) + room - 2;
  std::vector<int64_t> values;
  for (auto left = pick(2, 5);
       left > 0 && static_cast<int64_t>(tokens.size()) < end;
       --left) {
    values.push_back(expression(
        tokens, end - static_cast<int64_t>(tokens.size()), depth - 1, random));
  }
  tokens.push_back(End);
  std::sort(values.begin(), values.end());
  switch (op) {
    case Min:
      return values.front();
    case Max:
      return values.back();
    case Med:
      return values[values.size() / 2];
    default:
      return std::accumulate(values.begin(), values.end(), int64_t{0}) % 10;
  }
}

struct Batch {
  torch::Tensor tokens; // [rows, max_length]
  torch::Tensor values; // [rows]
};

Batch make_batch(int64_t rows, std::mt19937_64& random) {
  auto tokens = torch::full({rows, max_length}, int64_t{Pad}, torch::kLong);
  auto values = torch::empty({rows}, torch::kLong);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int64_t> text;
    const auto value = expression(text, max_length, 4, random);
    tokens[row]
        .slice(0, 0, static_cast<int64_t>(text.size()))
        .copy_(torch::tensor(text, torch::kLong));
    values[row].fill_(value);
  }
  return {tokens, values};
}

/// Embedding, two blocks that look both ways, the mean, ten scores.
struct EncoderImpl : torch::nn::Cloneable<EncoderImpl> {
  EncoderImpl() {
    reset();
  }
  void reset() override {
    embedding = register_module(
        "embedding", signalllm::SpectralEmbedding(int64_t{Count}, 64));
    blocks = register_module("blocks", torch::nn::ModuleList());
    for (int layer = 0; layer < 3; ++layer) {
      blocks->push_back(signalllm::WaveletTransformerBlock(
          signalllm::WaveletTransformerBlockOptions(64, 4)
              .attention_fraction(0.5)
              .max_length(max_length)
              .causal(false)));
    }
    head = register_module("head", torch::nn::Linear(64, 10));
  }
  torch::Tensor forward(const torch::Tensor& tokens) {
    auto x = embedding->forward(tokens);
    for (const auto& block : *blocks) {
      x = block->as<signalllm::WaveletTransformerBlock>()->forward(x);
    }
    // Padding says nothing: the mean is over the tokens there are.
    const auto real = tokens.ne(int64_t{Pad}).unsqueeze(2).to(x.scalar_type());
    return head->forward((x * real).sum(1) / real.sum(1));
  }
  signalllm::SpectralEmbedding embedding{nullptr};
  torch::nn::ModuleList blocks{nullptr};
  torch::nn::Linear head{nullptr};
};
TORCH_MODULE(Encoder);

} // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 1500;
  if (steps < 1) {
    std::fprintf(stderr, "signalllm_listops: STEPS must be 1 or more\n");
    return 2;
  }
  torch::manual_seed(1);
  std::mt19937_64 training(1), held_out(2);
  Encoder model;
  signalllm::optimize_for_mps(model, torch::kCPU);
  torch::optim::AdamW optimizer(
      model->parameters(), torch::optim::AdamWOptions(2e-3).weight_decay(0.1));
  for (int step = 0; step < steps; ++step) {
    const auto rate =
        1e-4 + 1.9e-3 * 0.5 * (1 + std::cos(std::numbers::pi * step / steps));
    for (auto& group : optimizer.param_groups()) {
      group.options().set_lr(rate * std::min(1.0, (step + 1) / 20.0));
    }
    const auto batch = make_batch(64, training);
    const auto loss = torch::nn::functional::cross_entropy(
        model->forward(batch.tokens), batch.values);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 100 == 0 || step + 1 == steps) {
      std::printf("step %5d  loss %.4f\n", step, loss.item<double>());
      std::fflush(stdout);
    }
  }
  model->eval();
  torch::NoGradGuard no_grad;
  const auto test = make_batch(2000, held_out);
  const auto right = model->forward(test.tokens).argmax(1).eq(test.values);
  const auto accuracy = right.to(torch::kDouble).mean().item<double>();
  const auto most = test.values.bincount().max().item<double>() / 2000;
  std::printf(
      "accuracy %.1f %% of 2000 new sequences; the most frequent value alone: "
      "%.1f %%\n",
      100 * accuracy,
      100 * most);
  return accuracy > most ? 0 : 1;
}
