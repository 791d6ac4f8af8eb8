// The CUDA kernels of `layer_norm` against the composite path in float64 on the
// CPU.

#include "ops/cuda_cases.h"
#include "ops/layer_norm.h"

#include <signalllm/ops/layer_norm.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

class CudaLayerNorm : public test::CudaFixture {
 protected:
  struct Case {
    Tensor x, weight, bias, grad;

    Case to(at::TensorOptions options) const {
      return {
          x.to(options),
          weight.to(options),
          bias.to(options),
          grad.to(options)};
    }
    Tensors run(at::ScalarType type) const {
      auto [dx, dw, db] = detail::layer_norm_backward(grad, x, weight, 1e-5);
      return {layer_norm(x, weight, bias, 1e-5, type), dx, dw, db};
    }
  };
  static Case
  make(at::IntArrayRef sizes, at::ScalarType input, at::ScalarType output) {
    return {
        values(sizes, input) + 1,
        values({sizes.back()}, torch::kFloat),
        values({sizes.back()}, torch::kFloat),
        values(sizes, output)};
  }
  static void compare(const Case& k) {
    const auto on = [](const Tensor& t) { return t.to(torch::kCUDA); };
    const auto type = k.grad.scalar_type();
    const auto got =
        Case{on(k.x), on(k.weight), on(k.bias), on(k.grad)}.run(type);
    const auto want = k.to(torch::kDouble).run(torch::kDouble);
    EXPECT_EQ(got[0].scalar_type(), type);
    EXPECT_EQ(got[1].scalar_type(), k.x.scalar_type());
    expect_rounded(got[0], want[0]);
    expect_rounded(got[1], want[1]);
    for (const size_t i : {2, 3}) {
      EXPECT_LE(
          test::max_error(wide(got[i]), want[i]),
          1e-5 * (want[i].abs().max().item<double>() + 1))
          << i;
    }
  }
};

TEST_F(CudaLayerNorm, AgreesWithFloat64) {
  for (const auto& [input, output] :
       {std::pair{torch::kFloat, torch::kFloat},
        {torch::kFloat, torch::kHalf},
        {torch::kFloat, torch::kBFloat16},
        {torch::kHalf, torch::kHalf},
        {torch::kBFloat16, torch::kBFloat16},
        {torch::kBFloat16, torch::kFloat}}) {
    for (const int64_t channels : {20, 36, 128, 132, 256, 512, 516, 1024}) {
      for (const int64_t rows : {1, 7, 8, 333, 3001}) {
        SCOPED_TRACE(
            std::to_string(rows) + " rows of " + std::to_string(channels));
        compare(make({rows, channels}, input, output));
      }
    }
  }
}

TEST_F(CudaLayerNorm, WhatNoKernelTakesIsComposite) {
  compare(make({5, 3}, torch::kFloat, torch::kFloat));
  compare(make({2, 5, 1028}, torch::kFloat, torch::kBFloat16));
  compare(make({2, 5, 8}, torch::kDouble, torch::kFloat));
}

TEST_F(CudaLayerNorm, AnyLayout) {
  const auto k = make({9, 20, 64}, torch::kFloat, torch::kBFloat16);
  const auto want = k.to(torch::kDouble).run(torch::kDouble);
  const auto odd = [](const Tensor& t) {
    const auto last = t.dim() - 1;
    return torch::constant_pad_nd(t.to(torch::kCUDA), {1, 2})
        .slice(last, 1, 1 + t.size(last));
  };
  const auto turned = [](const Tensor& t) {
    return t.to(torch::kCUDA).transpose(0, 2).contiguous().transpose(0, 2);
  };
  for (const auto& got :
       {Case{odd(k.x), odd(k.weight), odd(k.bias), odd(k.grad)},
        Case{turned(k.x), odd(k.weight), odd(k.bias), turned(k.grad)}}) {
    const auto results = got.run(torch::kBFloat16);
    expect_rounded(results[0], want[0]);
    expect_rounded(results[1], want[1]);
  }
  const auto empty = torch::zeros({0, 8}, torch::kCUDA);
  const auto eight = torch::ones({8}, torch::kCUDA);
  EXPECT_EQ(layer_norm(empty, eight, eight, 1e-5).numel(), 0);
  const auto [x, w, b] = detail::layer_norm_backward(empty, empty, eight, 1e-5);
  EXPECT_EQ(x.numel(), 0);
  EXPECT_EQ((w + b).abs().sum().item<float>(), 0);
}

/// The sum is rounded to the input's dtype before it is normed.
TEST_F(CudaLayerNorm, OfASum) {
  for (const auto& [input, output] :
       {std::pair{torch::kFloat, torch::kFloat},
        {torch::kFloat, torch::kBFloat16},
        {torch::kHalf, torch::kHalf},
        {torch::kHalf, torch::kFloat}}) {
    for (const int64_t channels : {20, 384, 512, 1024, 1028}) {
      const auto k = make({77, channels}, input, output);
      const auto branch = values({77, channels}, output);
      const auto through = values({77, channels}, input);
      const auto on = [](const Tensor& t) { return t.to(torch::kCUDA); };
      const auto [sum, normal] = add_layer_norm(
          on(k.x), on(branch), on(k.weight), on(k.bias), 1e-5, output);
      EXPECT_TRUE(
          torch::equal(sum.cpu(), (k.x.to(torch::kFloat) + branch).to(input)));
      const auto [dx, dbranch, dw, db] = detail::add_layer_norm_backward(
          on(through), on(k.grad), sum, on(k.weight), 1e-5);
      auto wanted = k.to(torch::kDouble);
      wanted.x = wide(sum);
      const auto want = wanted.run(torch::kDouble);
      expect_rounded(normal, want[0]);
      expect_rounded(dx, want[1] + wide(through));
      expect_rounded(dbranch, want[1] + wide(through));
      EXPECT_EQ(dx.scalar_type(), input);
      EXPECT_EQ(dbranch.scalar_type(), output);
      EXPECT_LE(test::max_error(wide(dw), want[2]), 1e-4);
      EXPECT_LE(test::max_error(wide(db), want[3]), 1e-4);
    }
  }
}

TEST_F(CudaLayerNorm, SameBitsEveryTime) {
  const auto k =
      make({5000, 512}, torch::kFloat, torch::kFloat).to(torch::kCUDA);
  expect_repeated([&] { return k.run(torch::kFloat); });
  expect_repeated([&] {
    auto [x, branch, w, b] =
        detail::add_layer_norm_backward(k.x, k.grad, k.x, k.weight, 1e-5);
    return Tensors{x, branch, w, b};
  });
}

} // namespace
} // namespace signalllm::ops
