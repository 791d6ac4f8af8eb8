// fourier_taps on torch::kMPS, where its Metal text runs. The reference is the
// composite path in float64.
#include "mps/metal_cases.h"
#include "ops/fourier_taps.h"

#include <signalllm/ops/fourier_taps.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct TapsCase {
  int64_t length, channels, terms, period;
};

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16, at::kHalf};

void check(const TapsCase& k, at::ScalarType type, at::ScalarType decay_type) {
  SCOPED_TRACE(
      "length " + std::to_string(k.length) + ", terms " +
      std::to_string(k.terms) + ", " + c10::toString(type));
  const at::NoGradGuard guard;
  const auto terms =
      at::randn({2 * k.terms + 1, k.channels}, at::kDouble).to(type);
  const auto decay = at::randn({k.channels}, at::kDouble).to(decay_type);
  const auto scale =
      at::exp2(at::arange(k.channels, at::kDouble).remainder(5)).to(type);
  const auto g = at::randn({k.length, k.channels});
  const auto mt = on_mps(terms), md = on_mps(decay), ms = on_mps(scale),
             mg = on_mps(g);
  const Launches forward;
  const auto taps = ops::fourier_taps(mt, md, ms, k.length, k.period);
  if (type == decay_type) {
    forward.expect(1);
  }
  expect_rounded(
      taps,
      ops::composite::fourier_taps(
          wide(terms), wide(decay), wide(scale), k.length, k.period),
      at::kFloat);
  const Launches backward;
  const auto [dt, dd] =
      ops::detail::fourier_taps_backward(mg, mt, md, ms, k.period);
  if (type == decay_type) {
    backward.expect(1);
  }
  const auto [et, ed] = ops::composite::fourier_taps_backward(
      wide(g), wide(terms), wide(decay), wide(scale), k.period);
  expect_rounded(dt, et, type);
  expect_rounded(dd, ed, decay_type);
  const auto again =
      ops::detail::fourier_taps_backward(mg, mt, md, ms, k.period);
  EXPECT_TRUE(std::get<0>(again).cpu().equal(dt.cpu()));
}

class FourierTapsMetal : public testing::TestWithParam<int64_t> {};

TEST_P(FourierTapsMetal, AgreesWithFloat64) {
  const auto n = GetParam();
  const auto type = types[n % 3];
  check({n, 1 + n % 19, n % 6, 1 + 3 * n % 64}, type, type);
}

INSTANTIATE_TEST_SUITE_P(
    Lengths,
    FourierTapsMetal,
    testing::
        Values(1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 40, 63, 64, 65, 255, 300));

TEST(FourierTapsContractMetal, LongAndMixed) {
  check({3000, 3, 16, 1024}, at::kFloat, at::kFloat);
  for (const auto type : {at::kHalf, at::kBFloat16}) {
    check({50, 9, 3, 64}, type, at::kFloat);
  }
}

// The phase of a far position is reduced as an integer.
TEST(FourierTapsContractMetal, TurnsExactlyFarAway) {
  const at::NoGradGuard guard;
  const int64_t period = 1 << 20, length = 70000;
  const auto terms = at::tensor({0.0, 1.0, 0.0}, at::kDouble).unsqueeze(1);
  const auto decay = at::full({1}, -30.0, at::kDouble),
             scale = at::full({1}, 1 << 19, at::kDouble);
  const auto to = [](const at::Tensor& t) { return on_mps(t.to(at::kFloat)); };
  const auto taps =
      ops::fourier_taps(to(terms), to(decay), to(scale), length, period);
  // cos(pi t / 2)
  const auto quarter = at::tensor({1.0, 0.0, -1.0, 0.0}, at::kDouble);
  EXPECT_LE(
      max_error(taps.cpu().squeeze(1), quarter.repeat({length / 4})), 1e-6);
}

TEST(FourierTapsContractMetal, HasGradients) {
  const auto terms = at::randn({7, 5}), decay = at::randn({5});
  const auto run = [&](const auto& to) {
    const auto t = to(terms).requires_grad_(), d = to(decay).requires_grad_();
    const auto s = to(at::ones({5}));
    const auto y = ops::fourier_taps(t, d, s, 21, 16);
    const auto g = torch::autograd::grad({(y * y).sum()}, {t, d});
    return std::pair(wide(g[0]), wide(g[1]));
  };
  const auto ours = run([](const at::Tensor& t) { return on_mps(t); });
  const auto reference = run([](const at::Tensor& t) { return wide(t); });
  EXPECT_LE(max_error(ours.first, reference.first), 1e-4);
  EXPECT_LE(max_error(ours.second, reference.second), 1e-4);
}

} // namespace
