#include "support.h"

#include <signalllm/nn/hybrid_embedding.h>

using namespace signalllm;
using namespace signalllm::test;

struct HybridEmbeddingTest : testing::Test {};

TEST_F(HybridEmbeddingTest, MixesTheTableAndTheSpectralPart) {
  HybridEmbedding e(7, 16);
  torch::NoGradGuard no_grad;
  e->mix.fill_(0.3);
  const auto share = 1 / (1 + std::exp(-0.3));
  expect_close(
      e->weight(),
      e->table * (1 - share) + e->spectral->weight() * share,
      1e-7);
  e->mix.fill_(50);
  expect_close(e->weight(), e->spectral->weight(), 1e-7);
  e->mix.fill_(-50);
  expect_close(e->weight(), e->table, 1e-7);
}

TEST_F(HybridEmbeddingTest, LooksUpAndProjectsBack) {
  HybridEmbedding e(11, 8);
  const auto tokens = torch::randint(11, {2, 5}, torch::kLong);
  const auto x = e->forward(tokens);
  ASSERT_EQ(x.sizes(), (std::vector<int64_t>{2, 5, 8}));
  expect_close(
      x, e->weight().index_select(0, tokens.view(-1)).view({2, 5, 8}), 0);
  expect_close(e->logits(x), x.matmul(e->weight().t()), 0);
  e->to(torch::kBFloat16);
  EXPECT_EQ(e->forward(tokens).scalar_type(), torch::kBFloat16);
  expect_close(e->forward(tokens), x, 0.002);
}

TEST_F(HybridEmbeddingTest, BothPartsStartWithTheStandardDeviationAskedFor) {
  HybridEmbedding e(HybridEmbeddingOptions(2000, 64).std(0.03));
  EXPECT_EQ(e->options.harmonics(), 16);
  EXPECT_NEAR(e->table.std().item<double>(), 0.03, 0.001);
  EXPECT_NEAR(e->spectral->weight().std().item<double>(), 0.03, 0.001);
}

TEST_F(HybridEmbeddingTest, Gradients) {
  HybridEmbedding e(6, 8);
  e->to(torch::kDouble);
  const auto tokens = torch::randint(6, {2, 4}, torch::kLong);
  expect_gradients(
      [&] { return e->logits(e->forward(tokens).tanh()); }, e->parameters());
}

TEST_F(HybridEmbeddingTest, SavesClonesAndPrints) {
  HybridEmbedding e(6, 8);
  const auto tokens = torch::randint(6, {2, 4}, torch::kLong);
  expect_save_and_clone(
      e, [&](HybridEmbeddingImpl& m) { return m.forward(tokens); });
  EXPECT_EQ(
      printed(e).substr(0, 66),
      "signalllm::HybridEmbedding(num_embeddings=6, dim=8, harmonics=2)(\n");
}

TEST_F(HybridEmbeddingTest, RefusesTooManyHarmonics) {
  EXPECT_NE(
      message_of([] {
        HybridEmbedding(HybridEmbeddingOptions(4, 8).harmonics(5));
      }).find("harmonics is 5, allowed are 1 to dim / 2 = 4"),
      std::string::npos);
}
