// The CUDA kernels of `squared_relu` against its formula in float64.

#include "ops/cuda_cases.h"
#include "ops/squared_relu.h"

#include <signalllm/ops/squared_relu.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaSquaredRelu : public test::CudaFixture {
 protected:
  static void compare(const Tensor& x, const Tensor& g) {
    const auto w = wide(x), positive = wide(x > 0);
    expect_rounded(squared_relu(x), w * w * positive);
    expect_rounded(
        detail::squared_relu_backward(g, x), 2 * w * positive * wide(g));
  }
};

TEST_F(CudaSquaredRelu, AgreesWithFloat64) {
  for (const auto type : types) {
    for (const int64_t size : {0, 1, 7, 8, 33, 4095, 4096, 8203, 100003}) {
      compare(
          values({size}, type).to(torch::kCUDA),
          values({size}, type).to(torch::kCUDA));
    }
  }
}

TEST_F(CudaSquaredRelu, AnyLayout) {
  for (const auto type : types) {
    const auto x = values({6, 40, 10}, type).to(torch::kCUDA);
    const auto g = values({10, 40, 6}, type).to(torch::kCUDA).transpose(0, 2);
    compare(x, g);
    compare(x.transpose(1, 2), g.transpose(1, 2));
    // Not at a multiple of 16 bytes.
    compare(x.flatten().slice(0, 1), g.flatten().slice(0, 1));
  }
}

TEST_F(CudaSquaredRelu, KeepsWhatIsNoNumber) {
  const auto x = torch::tensor({NAN, -INFINITY, INFINITY, -0.F}, torch::kCUDA);
  const auto y = squared_relu(x).cpu();
  EXPECT_TRUE(std::isnan(y[0].item<float>()));
  EXPECT_EQ(y[1].item<float>(), 0);
  EXPECT_EQ(y[2].item<float>(), INFINITY);
  EXPECT_EQ(y[3].item<float>(), 0);
}

TEST_F(CudaSquaredRelu, SameBitsEveryTime) {
  const auto x = values({3000, 33}, torch::kBFloat16).to(torch::kCUDA);
  expect_repeated([&] {
    return Tensors{squared_relu(x), detail::squared_relu_backward(x, x)};
  });
}

} // namespace
} // namespace signalllm::ops
