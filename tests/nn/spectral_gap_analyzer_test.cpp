#include "support.h"

#include <signalllm/nn/spectral_gap_analyzer.h>

#include <ATen/ops/linalg_eigvals.h>

using namespace signalllm;
using namespace signalllm::test;

struct SpectralGapAnalyzerTest : testing::Test {};

TEST_F(SpectralGapAnalyzerTest, IsTheSecondEigenvalueOfTheLaplacian) {
  const auto x = torch::randn({1, 7, 5}, torch::kDouble);
  SpectralGapAnalyzer gap(SpectralGapAnalyzerOptions(1.7));
  auto w = torch::zeros({7, 7}, torch::kDouble);
  for (int64_t i = 0; i < 7; ++i) {
    for (int64_t j = 0; j < 7; ++j) {
      if (i != j) {
        w[i][j] = ((x[0][i] - x[0][j]).square().sum() / (-2 * 1.7 * 1.7)).exp();
      }
    }
  }
  // D^-1 W has the eigenvalues 1 - those of the Laplacian.
  const auto walk = w / w.sum(1, true);
  const auto expected =
      std::get<0>(torch::real(at::linalg_eigvals(walk)).sort(0, true));
  expect_close(gap->eigenvalues(x)[0], 1 - expected, 1e-10);
  expect_close(gap->forward(x)[0], 1 - expected[1], 1e-10);
}

TEST_F(SpectralGapAnalyzerTest, KnowsGroupsFromOneCrowd) {
  auto apart = torch::randn({1, 20, 3}, torch::kDouble) * 0.1;
  apart.slice(1, 10) += 5;
  SpectralGapAnalyzer gap(SpectralGapAnalyzerOptions(1));
  EXPECT_LT(gap->forward(apart).item<double>(), 1e-6);
  // All alike: a complete graph, every other eigenvalue T / (T - 1).
  const auto same = torch::full({2, 5, 3}, 7.0);
  expect_close(
      SpectralGapAnalyzer()->forward(same), torch::full({2}, 1.25), 1e-6);
}

TEST_F(SpectralGapAnalyzerTest, TheScaleOfTheStatesDoesNotMatterByDefault) {
  const auto x = torch::randn({2, 9, 4}, torch::kDouble);
  SpectralGapAnalyzer gap;
  expect_close(gap->forward(x), gap->forward(x * 1000 + 3), 1e-9);
}

TEST_F(SpectralGapAnalyzerTest, Gradients) {
  const auto x = torch::randn({1, 6, 3}, torch::kDouble).requires_grad_();
  SpectralGapAnalyzer gap;
  expect_gradients([&] { return gap->forward(x); }, {x});
}

TEST_F(SpectralGapAnalyzerTest, ClonesPrintsAndChecks) {
  SpectralGapAnalyzer gap(SpectralGapAnalyzerOptions(2));
  const auto x = torch::randn({2, 6, 3});
  expect_save_and_clone(
      gap, [&](SpectralGapAnalyzerImpl& m) { return m.forward(x); });
  EXPECT_EQ(printed(gap), "signalllm::SpectralGapAnalyzer(bandwidth=2)");
  EXPECT_NE(
      message_of([&] {
        gap->forward(x.slice(1, 0, 1));
      }).find("with length >= 2"),
      std::string::npos);
}
