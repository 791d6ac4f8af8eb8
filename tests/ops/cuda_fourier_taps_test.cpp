// The CUDA kernels of `fourier_taps` against the composite path in float64 on
// the CPU.

#include "ops/cuda_cases.h"
#include "ops/fourier_taps.h"

#include <signalllm/ops/fourier_taps.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaFourierTaps : public test::CudaFixture {
 protected:
  struct Case {
    Tensor terms, decay, frequency, grad;
    int64_t period;

    Case to(at::TensorOptions options) const {
      return {
          terms.to(options),
          decay.to(options),
          frequency.to(options),
          grad.to(options.dtype(at::promoteTypes(
              torch::kFloat, at::typeMetaToScalarType(options.dtype())))),
          period};
    }
    Tensors run() const {
      auto [w, d] =
          detail::fourier_taps_backward(grad, terms, decay, frequency, period);
      return {
          fourier_taps(terms, decay, frequency, grad.size(0), period), w, d};
    }
  };

  /// Decays over the whole range that a model has, rounded to `type`.
  static Case make(
      int64_t length,
      int64_t channels,
      int64_t count,
      int64_t period,
      at::ScalarType type) {
    const auto spread = [&](double from, double to) {
      return torch::linspace(from, to, channels, torch::kDouble);
    };
    return {
        values({2 * count + 1, channels}, type),
        spread(1.4, 12).to(type),
        spread(0, 8).floor().exp2().to(type),
        values({length, channels}, torch::kFloat),
        period};
  }
  static void expect_near(const Tensors& got, const Tensors& want) {
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i].sizes(), want[i].sizes());
      const auto type = got[i].scalar_type();
      const double unit = type == torch::kHalf ? 1e-3
          : type == torch::kBFloat16           ? 8e-3
          : i == 0                             ? 1e-6
                                               : 1e-5; // sums over the length
      EXPECT_LE(
          test::max_error(wide(got[i]), want[i]),
          unit * want[i].abs().max().item<double>())
          << i << ", " << type;
    }
  }
};

TEST_F(CudaFourierTaps, AgreesWithFloat64) {
  for (const auto type : types) {
    for (const int64_t length : {1, 63, 64, 65, 300, 1000, 8192}) {
      for (const auto& [channels, count] :
           {std::pair{1, 0}, {5, 1}, {33, 16}, {64, 17}, {20, 40}}) {
        SCOPED_TRACE(
            std::to_string(length) + " of " + std::to_string(channels));
        const auto k = make(length, channels, count, 777, type);
        expect_near(k.to(torch::kCUDA).run(), k.to(torch::kDouble).run());
      }
    }
  }
}

TEST_F(CudaFourierTaps, FarPositions) {
  const auto k = make(65536, 20, 16, 65536, torch::kFloat);
  expect_near(k.to(torch::kCUDA).run(), k.to(torch::kDouble).run());
  auto fast = make(20000, 8, 3, (int64_t{1} << 30) - 3, torch::kFloat);
  fast.frequency = fast.frequency * 1000003;
  expect_near(fast.to(torch::kCUDA).run(), fast.to(torch::kDouble).run());
}

/// Each decay by its own gradient: the fastest ones have the smallest.
TEST_F(CudaFourierTaps, SmallGradientsOfFastDecays) {
  auto k = make(4096, 40, 16, 32768, torch::kFloat);
  k.terms = k.terms.abs(); // so that the taps' sums do not cancel
  k.grad = torch::ones_like(k.grad);
  const auto got = wide(k.to(torch::kCUDA).run()[2]);
  const auto want = k.to(torch::kDouble).run()[2];
  EXPECT_LE(((got - want) / want).abs().max().item<double>(), 1e-4);
}

TEST_F(CudaFourierTaps, MixedDtypesAndStrides) {
  const auto k = make(500, 24, 16, 512, torch::kBFloat16);
  const auto want = k.to(torch::kDouble).run();
  auto mixed = k.to(torch::kCUDA);
  mixed.decay = mixed.decay.to(torch::kFloat);
  mixed.frequency = mixed.frequency.to(torch::kLong);
  mixed.terms = mixed.terms.t().contiguous().t();
  mixed.grad = torch::constant_pad_nd(mixed.grad, {1, 2}).slice(1, 1, 25);
  const auto got = mixed.run();
  EXPECT_EQ(got[0].scalar_type(), torch::kFloat);
  EXPECT_EQ(got[1].scalar_type(), torch::kBFloat16);
  EXPECT_EQ(got[2].scalar_type(), torch::kFloat);
  expect_near(got, want);
  mixed.frequency = -mixed.frequency.to(torch::kDouble);
  auto back = k.to(torch::kDouble);
  back.frequency = -back.frequency;
  expect_near(mixed.run(), back.run());
}

TEST_F(CudaFourierTaps, WhatNoKernelTakesIsComposite) {
  const auto k = make(100, 6, 4, int64_t{1} << 40, torch::kFloat);
  expect_near(k.to(torch::kCUDA).run(), k.to(torch::kDouble).run());
  const auto d = make(100, 6, 4, 100, torch::kDouble);
  EXPECT_EQ(
      d.to(at::TensorOptions(torch::kCUDA).dtype(torch::kDouble))
          .run()[0]
          .scalar_type(),
      torch::kDouble);
}

TEST_F(CudaFourierTaps, SameBitsEveryTime) {
  for (const int64_t length : {700, 30000}) {
    const auto k = make(length, 100, 20, 4096, torch::kFloat).to(torch::kCUDA);
    expect_repeated([&] { return k.run(); });
  }
}

} // namespace
} // namespace signalllm::ops
