// The causal operators' Metal kernels: tensors of torch::kMPS go through
// wrapper and dispatcher to the Metal text. The reference is the composite path
// in float64.
#include "mps/metal_cases.h"
#include "ops/causal_filter.h"
#include "ops/causal_wavedec.h"
#include "ops/causal_wavelet_filter.h"

#include <signalllm/ops/causal_filter.h>
#include <signalllm/ops/causal_wavedec.h>
#include <signalllm/ops/causal_wavelet_filter.h>

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
    const auto expected = composite::causal_filter(wide(x), wide(taps), parts);
    expect_rounded(y, expected, x.scalar_type());

    const auto g = k.values(y.sizes());
    const auto grad = on_mps(g);
    const Launches backward;
    const auto [dx, dtaps] =
        ops::detail::causal_filter_backward(grad, there, filter, parts);
    backward.expect(2);
    const auto [ex, etaps] =
        composite::causal_filter_backward(wide(g), wide(x), wide(taps), parts);
    expect_rounded(dx, ex, x.scalar_type());
    expect_rounded(dtaps, etaps, taps.scalar_type(), terms_of(taps, x));
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

class CausalWavedecMetal : public testing::TestWithParam<FilterCase> {};

TEST_P(CausalWavedecMetal, AgreesWithTheCompositePathInFloat64) {
  const auto k = GetParam();
  const at::NoGradGuard guard;
  const auto x = k.values(k.shape);
  const auto lo = k.filter(k.shape[2]);
  const auto there = on_mps(x), filter = on_mps(lo);
  const Launches launches;
  const auto bands = causal_wavedec(there, filter, k.level);
  EXPECT_EQ(launches.all(), 1);
  EXPECT_EQ(launches.metal(), k.level == 0 ? 0 : 1); // else a copy
  const auto expected =
      composite::causal_wavedec(wide(x), wide(lo), k.level, -2);
  ASSERT_EQ(bands.size(), expected.size());
  std::vector<at::Tensor> grads, wide_grads;
  for (size_t i = 0; i < bands.size(); ++i) {
    expect_rounded(bands[i], expected[i], k.type);
    grads.push_back(on_mps(k.values(k.shape)));
    wide_grads.push_back(wide(grads.back()));
  }
  const Launches backward;
  const auto dx = ops::detail::causal_wavedec_backward_input(grads, filter, -2);
  EXPECT_EQ(backward.all(), 1);
  expect_rounded(
      dx,
      composite::causal_wavedec_backward_input(wide_grads, wide(lo), -2),
      k.type);
  const Launches filters;
  const auto dlo =
      ops::detail::causal_wavedec_backward_filter(grads, there, filter, -2);
  EXPECT_EQ(filters.all(), k.level == 0 ? 1 : 2);
  expect_rounded(
      dlo,
      composite::causal_wavedec_backward_filter(
          wide_grads, wide(x), wide(lo), -2),
      lo.scalar_type(),
      terms_of(lo, x));
  const Launches both;
  const auto [dx_too, dlo_too] =
      ops::detail::causal_wavedec_backward(grads, there, filter, -2);
  EXPECT_EQ(both.all(), 2);
  EXPECT_TRUE(dx_too.cpu().equal(dx.cpu()));
  EXPECT_TRUE(dlo_too.cpu().equal(dlo.cpu()));
}

INSTANTIATE_TEST_SUITE_P(
    Grid,
    CausalWavedecMetal,
    testing::ValuesIn(filter_cases(/*per_channel=*/false)),
    name_of_case);

class CausalWaveletFilterMetal : public testing::TestWithParam<FilterCase> {};

TEST_P(CausalWaveletFilterMetal, AgreesWithTheCompositePathInFloat64) {
  const auto k = GetParam();
  const at::NoGradGuard guard;
  const auto x = k.values(k.shape), g = k.values(k.shape);
  const auto lo = k.filter(k.shape[2]), hi = k.filter(k.shape[2]);
  const auto weight =
      at::randn({k.taps % 2 == 0 ? k.shape[2] : 1, k.level + 2}, at::kDouble)
          .to(lo.scalar_type());
  const auto there = on_mps(x), grad = on_mps(g);
  const auto l = on_mps(lo), h = on_mps(hi), w = on_mps(weight);
  const Launches launches;
  const auto y = causal_wavelet_filter(there, l, h, w);
  launches.expect(1);
  expect_rounded(
      y,
      composite::causal_wavelet_filter(
          wide(x), wide(lo), wide(hi), wide(weight), -2),
      k.type);
  const Launches backward;
  const auto dx =
      ops::detail::causal_wavelet_filter_backward_input(grad, l, h, w, -2);
  backward.expect(1);
  expect_rounded(
      dx,
      composite::causal_wavelet_filter_backward_input(
          wide(g), wide(lo), wide(hi), wide(weight), -2),
      k.type);
  const Launches filters;
  const auto [ours_lo, ours_hi, ours_weight] =
      ops::detail::causal_wavelet_filter_backward_filters(
          grad, there, l, h, w, -2);
  filters.expect(2);
  const auto [a, b, c] = composite::causal_wavelet_filter_backward_filters(
      wide(g), wide(x), wide(lo), wide(hi), wide(weight), -2);
  expect_rounded(ours_lo, a, lo.scalar_type(), terms_of(lo, x));
  expect_rounded(ours_hi, b, lo.scalar_type(), terms_of(lo, x));
  expect_rounded(ours_weight, c, lo.scalar_type(), terms_of(weight, x));
  const Launches all;
  const auto [dx_too, dlo, dhi, dweight] =
      ops::detail::causal_wavelet_filter_backward(grad, there, l, h, w, -2);
  all.expect(2);
  expect_rounded(dx_too, dx.cpu().to(at::kDouble), k.type);
  EXPECT_TRUE(dlo.cpu().equal(ours_lo.cpu()));
  EXPECT_TRUE(dhi.cpu().equal(ours_hi.cpu()));
  EXPECT_TRUE(dweight.cpu().equal(ours_weight.cpu()));
}

INSTANTIATE_TEST_SUITE_P(
    Grid,
    CausalWaveletFilterMetal,
    testing::ValuesIn(filter_cases(/*per_channel=*/false)),
    name_of_case);

TEST(CausalMetal, TransformsAlongAnyDim) {
  const at::NoGradGuard guard;
  const auto x = torch::randn({3, 20, 2, 4});
  const auto lo = torch::randn({4}), per_channel = torch::randn({4, 3});
  for (const int64_t dim : {-4, -3, -2, -1}) {
    for (const auto& f : {lo, per_channel}) {
      if (dim == -1 && f.dim() == 2) {
        continue;
      }
      const auto expected = composite::causal_wavedec(wide(x), wide(f), 2, dim);
      const auto bands = causal_wavedec(on_mps(x), on_mps(f), 2, dim);
      std::vector<at::Tensor> there;
      for (size_t i = 0; i < bands.size(); ++i) {
        expect_rounded(bands[i], expected[i], at::kFloat);
        there.push_back(bands[i]);
      }
      expect_rounded(
          ops::detail::causal_wavedec_backward_filter(
              there, on_mps(x), on_mps(f), dim),
          composite::causal_wavedec_backward_filter(
              expected, wide(x), wide(f), dim),
          at::kFloat,
          terms_of(f, x));
    }
  }
}

TEST(CausalMetal, ComposesWhatFitsNoTile) {
  const at::NoGradGuard guard;
  const auto x = torch::randn({1, 9000, 1}), lo = torch::randn({60}) / 8;
  const Launches launches;
  const auto bands = causal_wavedec(on_mps(x), on_mps(lo), 7);
  EXPECT_EQ(launches.metal(), 0);
  const auto expected = composite::causal_wavedec(wide(x), wide(lo), 7, -2);
  for (size_t i = 0; i < bands.size(); ++i) {
    expect_rounded(bands[i], expected[i], at::kFloat);
  }
  // Thirteen levels.
  const auto y = torch::randn({1, 50, 2}), haar = torch::tensor({0.5, 0.5});
  const auto deep = causal_wavedec(on_mps(y), on_mps(haar), 13);
  expect_rounded(
      deep[0],
      composite::causal_wavedec(wide(y), wide(haar), 13, -2)[0],
      at::kFloat);
}

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
