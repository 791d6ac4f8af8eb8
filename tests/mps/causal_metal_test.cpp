// The causal operators' Metal kernels: tensors of torch::kMPS go through
// wrapper and dispatcher to the Metal text. The reference is the composite path
// in float64.
#include "mps/metal_cases.h"
#include "ops/causal_filter.h"

#include <signalllm/ops/causal_filter.h>

using namespace signalllm;
using namespace signalllm::ops;
using namespace signalllm::test;

namespace {

class CausalFilterMetal : public testing::TestWithParam<FilterCase> {};

TEST_P(CausalFilterMetal, AgreesWithTheCompositePathInFloat64) {
  const auto k = GetParam();
  const at::NoGradGuard guard;
  for (const int64_t parts : {1, 2}) {
    if (k.shape[2] % parts != 0) {
      continue;
    }
    const auto x = k.values(k.shape);
    const auto taps = k.filter(k.shape[2]);
    const auto there = on_mps(x), filter = on_mps(taps);
    const Launches launches;
    const auto y = causal_filter(there, filter, parts);
    launches.expect(1);
    const auto expected =
        composite::causal_filter(wide(x), wide(taps), parts);
    expect_rounded(y, expected, x.scalar_type());

    const auto g = k.values(y.sizes());
    const auto grad = on_mps(g);
    const Launches backward;
    const auto [dx, dtaps] =
        ops::detail::causal_filter_backward(grad, there, filter, parts);
    backward.expect(2);
    const auto [ex, etaps] = composite::causal_filter_backward(
        wide(g), wide(x), wide(taps), parts);
    expect_rounded(dx, ex, x.scalar_type());
    expect_rounded(dtaps, etaps, taps.scalar_type());
    const auto again = std::get<1>(
        ops::detail::causal_filter_backward(grad, there, filter, parts));
    EXPECT_TRUE(again.cpu().equal(dtaps.cpu()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Grid,
    CausalFilterMetal,
    testing::ValuesIn(filter_cases(/*per_channel=*/true)),
    name_of_case);

TEST(CausalMetal, FallsBackWhereThereIsNoKernel) {
  const auto x = torch::randn({2, 9, 4}), taps = torch::randn({4, 3});
  const auto expected = causal_filter(x, taps, 1);
  mps::enable(false);
  const Launches launches;
  const auto y = causal_filter(on_mps(x), on_mps(taps), 1);
  mps::enable(true);
  EXPECT_EQ(launches.metal(), 0);
  EXPECT_GT(launches.all(), 1);
  expect_close(y.cpu(), expected, 1e-6);
}

TEST(CausalMetal, TakesAnyStride) {
  const auto x = torch::randn({4, 30, 6}).transpose(0, 2);
  const auto taps = torch::randn({3, 4}).t();
  expect_close(
      causal_filter(on_mps(x), on_mps(taps), 1).cpu(),
      causal_filter(x, taps, 1),
      1e-5);
}

TEST(CausalMetal, HasGradients) {
  auto x = on_mps(torch::randn({2, 20, 4})).requires_grad_();
  auto taps = on_mps(torch::randn({4, 3})).requires_grad_();
  const Launches forward;
  const auto y = causal_filter(x, taps, 2);
  forward.expect(1);
  const auto g = on_mps(torch::randn({2, 2, 20, 2}));
  const Launches backward;
  const auto grads = torch::autograd::grad({y}, {x, taps}, {g});
  backward.expect(2);
  const auto [dx, dtaps] = composite::causal_filter_backward(
      wide(g.cpu()), wide(x.detach().cpu()), wide(taps.detach().cpu()), 2);
  expect_rounded(grads[0], dx, at::kFloat);
  expect_rounded(grads[1], dtaps, at::kFloat);
}

} // namespace
