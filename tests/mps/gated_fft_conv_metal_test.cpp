// gated_fft_conv on torch::kMPS, where its Metal text runs. The reference is
// the composite path in float64.
#include "mps/metal_cases.h"
#include "ops/gated_fft_conv.h"

#include <signalllm/ops/gated_fft_conv.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

struct ConvCase {
  int64_t batch, length, channels, taps;
  at::ScalarType type, kernel_type;
  bool skip;
};

void check(const ConvCase& k) {
  SCOPED_TRACE(
      "length " + std::to_string(k.length) + ", taps " +
      std::to_string(k.taps) + ", " + c10::toString(k.type));
  const at::NoGradGuard guard;
  const auto signal = [&] {
    return at::randn({k.batch, k.length, k.channels}, at::kDouble).to(k.type);
  };
  const auto x = signal(), a = signal(), b = signal(), g = signal();
  const auto taps =
      (at::randn({k.taps, k.channels}, at::kDouble) / std::sqrt(double(k.taps)))
          .to(k.kernel_type);
  const auto skip = at::randn({k.channels}, at::kDouble).to(k.kernel_type);
  using Skip = std::optional<at::Tensor>;
  const auto there = k.skip ? Skip(on_mps(skip)) : Skip();
  const auto here = k.skip ? Skip(wide(skip)) : Skip();
  const auto mx = on_mps(x), ma = on_mps(a), mb = on_mps(b), mg = on_mps(g),
             mt = on_mps(taps);
  // Rounding of transforms grows with the largest value.
  const auto near = [&](const at::Tensor& ours, const at::Tensor& reference) {
    ASSERT_EQ(ours.sizes(), reference.sizes());
    const auto type = ours.scalar_type();
    const double relative = type == at::kFloat ? 4e-6
        : type == at::kHalf                    ? 1e-3
                                               : 8e-3;
    EXPECT_LE(
        max_error(ours.cpu(), reference),
        relative * (1 + reference.abs().max().item<double>()));
  };
  const Launches forward;
  const auto y = ops::gated_fft_conv(mx, ma, mb, mt, there);
  forward.expect(1);
  near(
      y,
      ops::composite::gated_fft_conv(
          wide(x), wide(a), wide(b), wide(taps), here));
  const Launches backward;
  const auto [dx, da, db, dt, ds] =
      ops::detail::gated_fft_conv_backward(mg, mx, ma, mb, mt, there);
  if (k.length <= 1024) {
    backward.expect(2);
  }
  const auto [ex, ea, eb, et, es] = ops::composite::gated_fft_conv_backward(
      wide(g), wide(x), wide(a), wide(b), wide(taps), here);
  near(dx, ex);
  near(da, ea);
  near(db, eb);
  near(dt, et);
  if (k.skip) {
    near(ds, es);
  }
  const auto again =
      ops::detail::gated_fft_conv_backward(mg, mx, ma, mb, mt, there);
  EXPECT_TRUE(std::get<3>(again).cpu().equal(dt.cpu()));
}

class GatedFftConvMetal : public testing::TestWithParam<int64_t> {};

TEST_P(GatedFftConvMetal, AgreesWithFloat64) {
  const auto n = GetParam();
  constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16, at::kHalf};
  const auto type = types[n % 3];
  const int64_t taps[] = {n, std::max<int64_t>(n / 2, 1), n + 7, 1};
  check(
      {1 + n % 2,
       n,
       1 + n % 5,
       taps[n % 4],
       type,
       n / 3 % 2 == 0 ? type : at::kFloat,
       n % 5 != 0});
}

INSTANTIATE_TEST_SUITE_P(
    Lengths,
    GatedFftConvMetal,
    testing::Values(
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        15,
        16,
        17,
        24,
        31,
        32,
        33,
        50,
        63,
        64,
        65,
        100,
        128,
        200,
        256,
        257,
        500,
        512,
        1000,
        1024,
        1025,
        1500,
        2048));

/// Gradients and kernels are far smaller than signals; each result is as exact
/// as its own size asks for.
TEST(GatedFftConvContractMetal, SmallStaysExactBesideLarge) {
  const at::NoGradGuard guard;
  const auto x = at::randn({2, 700, 3}) * 100, a = at::randn({2, 700, 3}),
             b = at::randn({2, 700, 3}), g = at::randn({2, 700, 3}) * 1e-7,
             taps = at::randn({700, 3}) * 1e-4;
  const auto near = [](const at::Tensor& ours, const at::Tensor& reference) {
    EXPECT_LE(
        max_error(ours.cpu(), reference),
        3e-6 * reference.abs().max().item<double>());
  };
  near(
      ops::gated_fft_conv(on_mps(x), on_mps(a), on_mps(b), on_mps(taps), {}),
      ops::composite::gated_fft_conv(
          wide(x), wide(a), wide(b), wide(taps), {}));
  const auto [dx, da, db, dt, ds] = ops::detail::gated_fft_conv_backward(
      on_mps(g), on_mps(x), on_mps(a), on_mps(b), on_mps(taps), {});
  const auto [ex, ea, eb, et, es] = ops::composite::gated_fft_conv_backward(
      wide(g), wide(x), wide(a), wide(b), wide(taps), {});
  near(dx, ex);
  near(da, ea);
  near(db, eb);
  near(dt, et);
}

TEST(GatedFftConvContractMetal, NothingLooksAhead) {
  const at::NoGradGuard guard;
  const auto x = at::randn({1, 300, 3}), gate = at::randn({1, 300, 3});
  const auto taps = on_mps(at::randn({300, 3}));
  auto other = x.clone();
  other.slice(1, 120).copy_(at::randn({1, 180, 3}) * 3);
  const auto run = [&](const at::Tensor& t) {
    const auto g = on_mps(gate);
    return ops::gated_fft_conv(on_mps(t), g, g, taps, {}).cpu();
  };
  const auto before = run(x), after = run(other);
  EXPECT_LE(
      max_error(before.slice(1, 0, 120), after.slice(1, 0, 120)),
      1e-5 * after.abs().max().item<double>());
  EXPECT_GT(max_error(before.slice(1, 120), after.slice(1, 120)), 0.1);
}

TEST(GatedFftConvContractMetal, LongerSignalsAreComposed) {
  const at::NoGradGuard guard;
  const auto x = at::randn({1, 2049, 2}), taps = at::randn({9, 2});
  const auto m = on_mps(x);
  const Launches launches;
  const auto y = ops::gated_fft_conv(m, m, m, on_mps(taps), {});
  EXPECT_EQ(launches.metal(), 0);
  const auto w = wide(x);
  EXPECT_LE(
      max_error(
          y.cpu(), ops::composite::gated_fft_conv(w, w, w, wide(taps), {})),
      1e-3);
}

} // namespace
