// The CUDA kernels of `rms_norm` against its formula in float64.

#include "ops/cuda_cases.h"
#include "ops/rms_norm.h"

#include <signalllm/ops/rms_norm.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaRmsNorm : public test::CudaFixture {
 protected:
  static void compare(const Tensor& x, const Tensor& g) {
    const auto w = wide(x), wg = wide(g);
    const auto r = 1 / (w.pow(2).mean(-1, true) + 1e-3).sqrt();
    expect_rounded(rms_norm(x, 1e-3), w * r);
    expect_rounded(
        detail::rms_norm_backward(g, x, 1e-3),
        r * wg - w * r.pow(3) * (wg * w).mean(-1, true));
  }
};

TEST_F(CudaRmsNorm, AgreesWithFloat64) {
  for (const auto type : types) {
    for (const int64_t channels : {3, 20, 384, 512, 1000, 1024, 1028}) {
      for (const int64_t rows : {0, 1, 9, 1001}) {
        const auto make = [&] {
          return values({rows, channels}, type).to(torch::kCUDA);
        };
        const auto x = make();
        compare(x, make());
      }
    }
  }
}

TEST_F(CudaRmsNorm, AnyLayout) {
  const auto x = values({16, 9, 20}, torch::kHalf).to(torch::kCUDA);
  const auto g = values({20, 9, 16}, torch::kHalf).to(torch::kCUDA);
  compare(x, g.transpose(0, 2));
  compare(x.slice(2, 1, 17), g.transpose(0, 2).slice(2, 1, 17));
}

TEST_F(CudaRmsNorm, SameBitsEveryTime) {
  const auto x = values({3000, 384}, torch::kBFloat16).to(torch::kCUDA);
  const auto g = values({3000, 384}, torch::kBFloat16).to(torch::kCUDA);
  expect_repeated([&] {
    return Tensors{rms_norm(x, 1e-6), detail::rms_norm_backward(g, x, 1e-6)};
  });
}

} // namespace
} // namespace signalllm::ops
