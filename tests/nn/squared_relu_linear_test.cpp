#include "nn/squared_relu_linear.h"

#include "support.h"

#include <vector>

using namespace signalllm;
using namespace signalllm::test;

namespace {

torch::Tensor composed(const torch::Tensor& x, const torch::Tensor& w) {
  return torch::relu(x).square().matmul(w.t());
}

} // namespace

struct SquaredReluLinearTest : testing::Test {};

TEST_F(SquaredReluLinearTest, IsTheComposedFunctionToTheSecondDerivative) {
  const auto like = torch::dtype(torch::kDouble).requires_grad(true);
  for (const auto& shape :
       std::vector<std::vector<int64_t>>{{3, 5, 6}, {4, 6}, {6}}) {
    const auto x = torch::randn(shape, like);
    const auto w = torch::randn({2, 6}, like);
    const auto y = squared_relu_linear(x, w);
    const auto wanted = composed(x, w);
    expect_close(y, wanted, 1e-12);
    const auto g = torch::randn_like(wanted).requires_grad_();
    const auto gradients = [&](const torch::Tensor& from) {
      return torch::autograd::grad({from}, {x, w}, {g}, {}, true);
    };
    const auto first = gradients(y), first_wanted = gradients(wanted);
    const auto u = torch::randn_like(x), v = torch::randn_like(w);
    const auto second = [&](const torch::autograd::variable_list& of) {
      return torch::autograd::grad(
          {(of[0] * u).sum() + (of[1] * v).sum()}, {x, w, g});
    };
    const auto second_is = second(first), second_wanted = second(first_wanted);
    for (size_t i = 0; i < 2; ++i) {
      expect_close(first[i], first_wanted[i], 1e-12);
    }
    for (size_t i = 0; i < 3; ++i) {
      expect_close(second_is[i], second_wanted[i], 1e-12);
    }
  }
}

TEST_F(SquaredReluLinearTest, GivesOnlyTheGradientsThatAreWanted) {
  const auto x = torch::randn({4, 6});
  const auto w = torch::randn({2, 6}, torch::requires_grad());
  squared_relu_linear(x, w).sum().backward();
  EXPECT_FALSE(x.grad().defined());
  expect_close(w.grad(), torch::relu(x).square().sum(0).expand({2, 6}), 1e-5);
  const auto y = squared_relu_linear(x.requires_grad_(), w.detach());
  y.sum().backward();
  expect_close(x.grad(), 2 * torch::relu(x) * w.detach().sum(0), 1e-5);
}
