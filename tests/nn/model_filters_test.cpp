// Wavelet filters that are fixed, learned or lattices, in a whole model.

#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/optimize.h>
#include <signalllm/training/checkpoint.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

SignalLLMOptions everywhere(FilterTraining filters) {
  return SignalLLMOptions(17)
      .dim(16)
      .heads(2)
      .layers(1)
      .attention_fraction(0.5)
      .max_length(32)
      .attention_filter(FilterKind::Wavelet)
      .fourier_filter(FilterKind::Wavelet)
      .feed_forward(SpectralKind::CausalWavelet)
      .wavelet("db2;lattice(0.3 1.0)")
      .levels(2)
      .filters(filters);
}

/// A step; true where a filter of wavelets has moved.
bool filters_move(SignalLLM& model) {
  const auto tokens = torch::randint(17, {2, 20}, torch::kLong);
  const auto block = model->blocks[0]->as<WaveletTransformerBlockImpl>();
  const auto all = [&] {
    std::vector<torch::Tensor> filters;
    for (const auto& filter :
         {block->attention->filter,
          block->fourier->filter,
          block->feed_forward->filter}) {
      filters.push_back(filter->filters(torch::kFloat).first.detach().clone());
    }
    return filters;
  };
  const auto before = all();
  model->zero_grad();
  model->forward(tokens).log_softmax(-1).select(-1, 3).sum().backward();
  {
    torch::NoGradGuard no_grad;
    for (auto& parameter : model->parameters()) {
      parameter -= 0.1 * parameter.grad();
    }
  }
  const auto after = all();
  std::vector<bool> moved;
  for (size_t i = 0; i < after.size(); ++i) {
    moved.push_back(max_error(before[i], after[i]) > 0);
    EXPECT_EQ(moved[i], moved[0]) << i;
  }
  return moved[0];
}

} // namespace

struct ModelFilters : testing::Test,
                      testing::WithParamInterface<FilterTraining> {};

TEST_P(ModelFilters, MoveOrStay) {
  SignalLLM model(everywhere(GetParam()));
  EXPECT_EQ(filters_move(model), GetParam() != FilterTraining::Fixed);
}

TEST_P(ModelFilters, GoThroughTheSwapAndTheStateDictionary) {
  SignalLLM model(everywhere(GetParam()));
  filters_move(model);
  model->eval();
  torch::NoGradGuard no_grad;
  const auto tokens = torch::randint(17, {2, 20}, torch::kLong);
  const auto expected = model->forward(tokens);
  const auto saved = training::module_tensors(*model);
  EXPECT_EQ(
      saved.count("blocks.0.attention.filter.low"),
      GetParam() == FilterTraining::Fixed ? 1u : 0u);
  torch::manual_seed(7);
  SignalLLM other(SignalLLMOptions::parse(everywhere(GetParam()).describe()));
  optimize_for_mps(other, torch::kCPU);
  other->eval();
  EXPECT_GT(max_error(other->forward(tokens), expected), 1e-2);
  training::load_module(*other, saved);
  expect_close(other->forward(tokens), expected, 1e-5);
  auto state = other->make_state(2);
  const auto first = other->forward_incremental(tokens.slice(1, 0, 7), state);
  const auto rest = other->forward_incremental(tokens.slice(1, 7), state);
  expect_close(torch::cat({first, rest}, 1), expected, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Trainings,
    ModelFilters,
    testing::Values(
        FilterTraining::Fixed,
        FilterTraining::Learned,
        FilterTraining::Lattice),
    [](const auto& info) { return std::string(to_string(info.param)); });
