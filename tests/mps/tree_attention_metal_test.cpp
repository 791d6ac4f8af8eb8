// tree_attention on torch::kMPS, where its Metal text runs. The reference is
// the composite path in float64.
#include "mps/metal_cases.h"
#include "ops/tree_attention.h"

#include <signalllm/ops/tree_attention.h>

#include <ATen/ops/scaled_dot_product_attention.h>

using namespace signalllm;
using namespace signalllm::test;
using at::Tensor;

namespace {

struct TreeCase {
  int64_t batch, heads, length, width, window;
  at::ScalarType type;
  bool beside; // the heads beside the positions in memory

  Tensor values() const {
    const auto x = at::randn({batch, heads, length, width}, at::kDouble);
    return beside ? x.transpose(1, 2).contiguous().to(type).transpose(1, 2)
                  : x.to(type);
  }
};

void PrintTo(const TreeCase& k, std::ostream* stream) {
  *stream << "length " << k.length << ", width " << k.width << ", window "
          << k.window << ", " << k.type;
}

void check(const TreeCase& k) {
  const at::NoGradGuard guard;
  const auto q = k.values(), v = k.values(), g = k.values(), key = k.values();
  const auto mq = on_mps(q), mk = on_mps(key), mv = on_mps(v), mg = on_mps(g);
  const Launches forward;
  const auto [out, sum] = ops::tree_attention(mq, mk, mv, k.window);
  forward.expect(1);
  const auto [wide_out, wide_sum] =
      ops::composite::tree_attention(wide(q), wide(key), wide(v), k.window);
  expect_rounded(out, wide_out, k.type);
  expect_rounded(sum, wide_sum, at::kFloat);
  EXPECT_EQ(out.strides(), mq.strides());
  // The gradients' own error, not that of a rounded output.
  const Launches backward;
  const auto grads =
      ops::detail::tree_attention_backward(mg, mq, mk, mv, out, sum, k.window);
  backward.expect(k.length > 2 * k.window ? 2 : 1);
  const auto [dq, dk, dv] = grads;
  const auto near = [&](const Tensor& ours, const Tensor& reference) {
    const double relative = k.type == at::kFloat ? 2e-5
        : k.type == at::kHalf                    ? 2e-3
                                                 : 1.6e-2;
    ASSERT_EQ(ours.scalar_type(), k.type);
    ASSERT_TRUE(ours.cpu().isfinite().all().item<bool>());
    EXPECT_LE(
        max_error(ours.cpu(), reference),
        relative * (0.1 + reference.abs().max().item<double>()));
  };
  const auto [eq, ek, ev] = ops::composite::tree_attention_backward(
      wide(g), wide(q), wide(key), wide(v), wide_out, wide_sum, k.window);
  near(dq, eq);
  near(dk, ek);
  near(dv, ev);
  const auto again =
      ops::detail::tree_attention_backward(mg, mq, mk, mv, out, sum, k.window);
  EXPECT_TRUE(std::get<1>(again).cpu().equal(dk.cpu()));
}

class TreeAttentionMetal : public testing::TestWithParam<TreeCase> {};

TEST_P(TreeAttentionMetal, AgreesWithFloat64) {
  check(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    TreeAttentionMetal,
    testing::Values(
        TreeCase{1, 1, 1, 1, 2, at::kFloat, false},
        TreeCase{1, 2, 5, 3, 2, at::kFloat, true},
        TreeCase{2, 1, 31, 8, 2, at::kHalf, false},
        TreeCase{1, 3, 33, 7, 4, at::kBFloat16, true},
        TreeCase{2, 2, 40, 16, 20, at::kFloat, true},
        TreeCase{1, 2, 65, 5, 6, at::kFloat, false},
        TreeCase{1, 1, 100, 33, 10, at::kFloat, true},
        TreeCase{1, 2, 77, 40, 8, at::kHalf, true},
        TreeCase{1, 1, 129, 64, 32, at::kBFloat16, false},
        TreeCase{1, 1, 70, 72, 16, at::kFloat, true},
        TreeCase{1, 1, 45, 128, 46, at::kHalf, false},
        TreeCase{1, 1, 300, 4, 16, at::kFloat, false},
        TreeCase{1, 1, 90, 12, 90, at::kFloat, true}));

TEST(TreeAttentionContractMetal, IsCausalAttentionUpToTwoWindows) {
  const at::NoGradGuard guard;
  const TreeCase k{2, 2, 23, 6, 12, at::kFloat, true};
  const auto q = k.values(), key = k.values(), v = k.values();
  const auto [out, sum] =
      ops::tree_attention(on_mps(q), on_mps(key), on_mps(v), k.window);
  expect_rounded(
      out,
      at::scaled_dot_product_attention(
          wide(q), wide(key), wide(v), {}, 0.0, /*is_causal=*/true),
      at::kFloat);
}

TEST(TreeAttentionContractMetal, ComposesWhatTheKernelDoesNotTake) {
  const at::NoGradGuard guard;
  const TreeCase k{1, 1, 9, 130, 2, at::kFloat, false};
  const auto q = k.values(), key = k.values(), v = k.values();
  const Launches launched;
  const auto [out, sum] =
      ops::tree_attention(on_mps(q), on_mps(key), on_mps(v), k.window);
  EXPECT_EQ(launched.metal(), 0);
  expect_rounded(
      out,
      std::get<0>(ops::composite::tree_attention(
          wide(q), wide(key), wide(v), k.window)),
      at::kFloat);
}

TEST(TreeAttentionContractMetal, HasGradientsInAnyLayout) {
  const auto base = at::randn({3, 1, 50, 2, 6});
  const auto run = [&](const Tensor& from) {
    const auto x = from.detach().requires_grad_();
    const auto parts = x.transpose(2, 3); // rows that are neither
    const auto y =
        std::get<0>(ops::tree_attention(parts[0], parts[1], parts[2], 4));
    return torch::autograd::grad({(y * y * y).sum()}, {x})[0];
  };
  EXPECT_LE(max_error(run(on_mps(base)).cpu(), run(wide(base))), 1e-4);
}

} // namespace
