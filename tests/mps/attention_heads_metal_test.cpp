// attention_heads on torch::kMPS, where its Metal text runs. The reference is
// the composite path in float64.
#include "mps/metal_cases.h"
#include "ops/attention_heads.h"

#include <signalllm/ops/attention_heads.h>

using namespace signalllm;
using namespace signalllm::test;
using at::Tensor;

namespace {

struct HeadsCase {
  int64_t batch, length, heads, width;
  std::optional<double> base;
  int64_t offset;
  std::optional<double> epsilon;
  at::ScalarType type;
};

void PrintTo(const HeadsCase& k, std::ostream* stream) {
  *stream << "length " << k.length << ", heads " << k.heads << ", width "
          << k.width << ", " << k.type;
}

class AttentionHeadsMetal : public testing::TestWithParam<HeadsCase> {};

TEST_P(AttentionHeadsMetal, AgreesWithFloat64) {
  const auto& k = GetParam();
  const at::NoGradGuard guard;
  const auto x =
      at::randn({k.batch, k.length, 3 * k.heads * k.width}, at::kDouble)
          .to(k.type);
  const auto mx = on_mps(x);
  const Launches forward;
  const auto ours =
      ops::attention_heads(mx, k.heads, k.base, k.offset, k.epsilon);
  forward.expect(1);
  const auto reference = ops::composite::attention_heads(
      wide(x), k.heads, k.base, k.offset, k.epsilon);
  expect_rounded(std::get<0>(ours), std::get<0>(reference), k.type);
  expect_rounded(std::get<1>(ours), std::get<1>(reference), k.type);
  expect_rounded(std::get<2>(ours), std::get<2>(reference), k.type);
  EXPECT_TRUE(std::get<1>(ours).transpose(1, 2).is_contiguous());

  const auto gradient = [&] {
    return at::randn({k.batch, k.length, k.heads, k.width}, at::kDouble)
        .to(k.type)
        .transpose(1, 2);
  };
  const auto q = gradient(), key = gradient(), v = gradient();
  const auto mq = on_mps(q), mk = on_mps(key), mv = on_mps(v);
  const auto input = [&](const Tensor& t) {
    return k.epsilon ? std::optional<Tensor>(t) : std::nullopt;
  };
  const Launches backward;
  const auto dx = ops::detail::attention_heads_backward(
      mq, mk, mv, input(mx), k.base, k.offset, k.epsilon);
  backward.expect(1);
  expect_rounded(
      dx,
      ops::composite::attention_heads_backward(
          wide(q),
          wide(key),
          wide(v),
          input(wide(x)),
          k.base,
          k.offset,
          k.epsilon),
      k.type);
}

// Far positions turn as in float64.
INSTANTIATE_TEST_SUITE_P(
    Cases,
    AttentionHeadsMetal,
    testing::Values(
        HeadsCase{1, 1, 1, 2, 10000.0, 0, {}, at::kFloat},
        HeadsCase{2, 9, 3, 8, 10000.0, 0, {}, at::kFloat},
        HeadsCase{2, 5, 2, 7, {}, 0, {}, at::kHalf},
        HeadsCase{1, 7, 2, 66, 10000.0, 3, 1e-6, at::kFloat},
        HeadsCase{2, 6, 1, 40, {}, 0, 1e-3, at::kBFloat16},
        HeadsCase{1, 4, 4, 6, 500.0, 1000000, 1e-6, at::kHalf},
        HeadsCase{2, 11, 2, 10, 10000.0, 100000, {}, at::kFloat},
        HeadsCase{1, 3, 1, 256, 10000.0, 7, {}, at::kBFloat16}));

TEST(AttentionHeadsContractMetal, HasGradients) {
  const auto base = at::randn({2, 6, 24});
  const auto run = [&](const Tensor& from) {
    const auto x = from.detach().requires_grad_();
    const auto [q, k, v] = ops::attention_heads(x, 2, 100.0, 2, 1e-6);
    return torch::autograd::grad({(q * k * k + v * v).sum()}, {x})[0];
  };
  EXPECT_LE(max_error(run(on_mps(base)).cpu(), run(wide(base))), 1e-4);
}

TEST(AttentionHeadsContractMetal, ComposesWhatTheKernelDoesNotTake) {
  const auto x = at::randn({1, 3, 3 * 258});
  const Launches launched;
  const auto ours = ops::attention_heads(on_mps(x), 1, 10000.0);
  EXPECT_EQ(launched.metal(), 0);
  expect_rounded(
      std::get<0>(ours),
      std::get<0>(ops::attention_heads(wide(x), 1, 10000.0)),
      at::kFloat);
}

} // namespace
