#include "support.h"

#include <signalllm/nn/embedding.h>

using namespace signalllm;
using namespace signalllm::test;

struct EmbeddingTest : testing::Test {};

TEST_F(EmbeddingTest, BasisIsOrthonormalForEvenAndOddWidths) {
  for (const int64_t dim : {2, 3, 8, 9, 64, 65}) {
    for (int64_t harmonics = 1; harmonics <= dim / 2; harmonics += 3) {
      SpectralEmbedding e(
          SpectralEmbeddingOptions(5, dim).harmonics(harmonics));
      const auto product = e->basis.matmul(e->basis.t());
      expect_close(product, torch::eye(2 * harmonics), 1e-6);
    }
    SpectralEmbedding full(5, dim);
    expect_close(
        full->basis.matmul(full->basis.t()), torch::eye(dim / 2 * 2), 1e-6);
  }
}

TEST_F(EmbeddingTest, FullBasisLosesNothing) {
  SpectralEmbedding e(7, 16);
  const auto table = torch::randn({7, 16});
  torch::NoGradGuard no_grad;
  e->coefficients.copy_(table.matmul(e->basis.t()));
  expect_close(e->weight(), table, 1e-5);
}

TEST_F(EmbeddingTest, StartsWithTheStandardDeviationAskedFor) {
  for (const int64_t harmonics : {0, 8}) {
    SpectralEmbedding e(
        SpectralEmbeddingOptions(2000, 64).harmonics(harmonics).std(0.02));
    EXPECT_NEAR(e->weight().std().item<double>(), 0.02, 0.0005);
  }
}

TEST_F(EmbeddingTest, LooksUpAndProjectsBack) {
  SpectralEmbedding e(11, 8);
  const auto tokens = torch::randint(11, {2, 5}, torch::kLong);
  const auto x = e->forward(tokens);
  ASSERT_EQ(x.sizes(), (std::vector<int64_t>{2, 5, 8}));
  expect_close(
      x, e->weight().index_select(0, tokens.view(-1)).view({2, 5, 8}), 0);
  expect_close(e->logits(x), x.matmul(e->weight().t()), 0);
}

TEST_F(EmbeddingTest, AmplitudeAndPhaseGiveTheCoefficientsBack) {
  SpectralEmbedding e(4, 10);
  const auto a = e->amplitude();
  const auto p = e->phase();
  ASSERT_EQ(a.sizes(), (std::vector<int64_t>{4, 5}));
  expect_close(
      torch::cat({a * p.cos(), a * p.sin()}, 1), e->coefficients, 1e-7);
}

TEST_F(EmbeddingTest, Gradients) {
  SpectralEmbedding e(6, 8);
  e->to(torch::kDouble);
  const auto tokens = torch::randint(6, {2, 4}, torch::kLong);
  expect_gradients(
      [&] { return e->logits(e->forward(tokens).tanh()); }, e->parameters());
}

TEST_F(EmbeddingTest, HalfPrecisionFollows) {
  SpectralEmbedding e(6, 8);
  const auto tokens = torch::randint(6, {2, 4}, torch::kLong);
  const auto full = e->forward(tokens);
  e->to(torch::kBFloat16);
  EXPECT_EQ(e->forward(tokens).scalar_type(), torch::kBFloat16);
  expect_close(e->forward(tokens), full, 0.002);
}

TEST_F(EmbeddingTest, SavesClonesAndPrints) {
  SpectralEmbedding e(6, 8);
  const auto tokens = torch::randint(6, {2, 4}, torch::kLong);
  expect_save_and_clone(
      e, [&](SpectralEmbeddingImpl& m) { return m.forward(tokens); });
  EXPECT_EQ(
      printed(e),
      "signalllm::SpectralEmbedding(num_embeddings=6, dim=8, harmonics=4)");
}

TEST_F(EmbeddingTest, RefusesTooManyHarmonics) {
  EXPECT_NE(
      message_of([] {
        SpectralEmbedding(SpectralEmbeddingOptions(4, 8).harmonics(5));
      }).find("harmonics is 5, allowed are 1 to dim / 2 = 4"),
      std::string::npos);
}
