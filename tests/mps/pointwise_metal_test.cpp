// rms_norm and squared_relu on torch::kMPS, where their Metal text runs.
#include "mps/metal_cases.h"
#include "ops/rms_norm.h"
#include "ops/squared_relu.h"

#include <signalllm/ops/rms_norm.h>
#include <signalllm/ops/squared_relu.h>

using namespace signalllm;
using namespace signalllm::test;

namespace {

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16, at::kHalf};

const std::vector<std::vector<int64_t>>
    shapes{{1}, {3, 7}, {2, 5, 32}, {2, 33, 40}, {1, 9, 300}, {0, 3}};

TEST(RmsNormMetal, AgreesWithFloat64) {
  const at::NoGradGuard guard;
  for (const auto type : types) {
    for (const auto& shape : shapes) {
      const auto x = at::randn(shape, at::kDouble).to(type);
      const auto g = at::randn(shape, at::kDouble).to(type);
      const auto mx = on_mps(x), mg = on_mps(g);
      const Launches forward;
      const auto y = ops::rms_norm(mx, 1e-3);
      const Launches backward;
      const auto dx = ops::detail::rms_norm_backward(mg, mx, 1e-3);
      if (x.numel() > 0) {
        backward.expect(1);
      }
      // Written out, not by the library's own composite path.
      const auto w = wide(x), wg = wide(g);
      const auto r = 1 / (w.pow(2).mean(-1, true) + 1e-3).sqrt();
      expect_rounded(y, w * r, type);
      expect_rounded(dx, r * wg - w * r.pow(3) * (wg * w).mean(-1, true), type);
    }
  }
}

TEST(RmsNormMetal, TakesAnyStrideAndHasGradients) {
  const auto base = at::randn({4, 6, 5});
  const auto run = [&](const at::Tensor& leaf) {
    const auto x = leaf.detach().requires_grad_();
    const auto y = ops::rms_norm(x.transpose(0, 2), 1e-6);
    return torch::autograd::grad({(y * y * y).sum()}, {x})[0];
  };
  EXPECT_LE(max_error(run(on_mps(base)).cpu(), run(wide(base))), 1e-4);
}

TEST(SquaredReluMetal, AgreesWithFloat64) {
  const at::NoGradGuard guard;
  for (const auto type : types) {
    for (const auto& shape : shapes) {
      const auto x = at::randn(shape, at::kDouble).to(type);
      const auto g = at::randn(shape, at::kDouble).to(type);
      const auto mx = on_mps(x), mg = on_mps(g);
      const Launches forward;
      const auto y = ops::squared_relu(mx);
      if (x.numel() > 0) {
        forward.expect(1);
      }
      const auto w = wide(x), positive = (w > 0).to(at::kDouble);
      expect_rounded(y, w * w * positive, type);
      expect_rounded(
          ops::detail::squared_relu_backward(mg, mx),
          2 * w * positive * wide(g),
          type);
    }
  }
}

} // namespace
