// The kernel of the CPU and the composite path against each other.

#include "ops/tree_attention.h"
#include "support.h"

#include <signalllm/ops/tree_attention.h>

#include <ATen/Parallel.h>

namespace signalllm::ops {
namespace {

using torch::Tensor;

struct TreeAttentionOp : testing::Test {
  struct Call {
    Tensor q, k, v, g;
    int64_t window;

    static Call random(at::IntArrayRef sizes, int64_t window) {
      const auto make = [&] { return torch::randn(sizes, torch::kDouble); };
      return {make(), make(), make(), make(), window};
    }
    Call to(at::ScalarType type) const {
      return {q.to(type), k.to(type), v.to(type), g.to(type), window};
    }
    /// Output, logsumexp and gradients.
    std::vector<Tensor> run() const {
      const auto [o, l] = tree_attention(q, k, v, window);
      const auto [gq, gk, gv] =
          detail::tree_attention_backward(g, q, k, v, o, l, window);
      return {o, l, gq, gk, gv};
    }
    std::vector<Tensor> run_composite() const {
      const auto [o, l] = composite::tree_attention(q, k, v, window);
      const auto [gq, gk, gv] =
          composite::tree_attention_backward(g, q, k, v, o, l, window);
      return {o, l, gq, gk, gv};
    }
  };

  static void expect_like(
      const std::vector<Tensor>& got,
      const std::vector<Tensor>& want,
      double tolerance) {
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].sizes(), want[i].sizes());
      const double most = want[i].abs().max().item<double>() + 0.1;
      EXPECT_LE(test::max_error(got[i], want[i]), tolerance * most) << i;
    }
  }
};

TEST_F(TreeAttentionOp, KernelIsTheComposite) {
  for (const int64_t window : {2, 6, 16, 64, 128}) {
    for (const int64_t length : {1, 7, 64, 129, 333, 1000}) {
      for (const int64_t size : {1, 5, 32, 72}) {
        SCOPED_TRACE(
            "window " + std::to_string(window) + ", length " +
            std::to_string(length) + ", size " + std::to_string(size));
        const auto x = Call::random({2, 1, length, size}, window);
        const auto want = x.run_composite();
        expect_like(x.run(), want, 1e-12);
        expect_like(x.to(torch::kFloat).run(), want, 2e-5);
      }
    }
  }
}

TEST_F(TreeAttentionOp, HalfTypesRoundOnlyAtTheEnds) {
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    const auto x = Call::random({1, 2, 515, 32}, 32).to(type);
    const auto got = x.run();
    EXPECT_EQ(got[0].scalar_type(), type);
    EXPECT_EQ(got[1].scalar_type(), torch::kFloat);
    EXPECT_EQ(got[3].scalar_type(), type);
    expect_like(
        got,
        x.to(torch::kDouble).run_composite(),
        type == torch::kHalf ? 2e-3 : 1.6e-2);
  }
}

TEST_F(TreeAttentionOp, LargeLogitsAreNoTrouble) {
  auto x = Call::random({1, 1, 300, 8}, 8);
  x.q = x.q * 300;
  expect_like(x.run(), x.run_composite(), 1e-11);
  expect_like(
      x.to(torch::kFloat).run(),
      x.to(torch::kFloat).to(torch::kDouble).run_composite(),
      1e-3);
}

TEST_F(TreeAttentionOp, KeepsTheHeadsWhereTheyLie) {
  const auto x = Call::random({2, 3, 75, 8}, 4);
  const auto want = x.run();
  const auto turned = [](const Tensor& y) {
    return y.transpose(1, 2).contiguous().transpose(1, 2);
  };
  const Call y{turned(x.q), turned(x.k), turned(x.v), x.g, 4};
  const auto got = y.run();
  expect_like(got, want, 0);
  for (const size_t i : {0, 2, 3, 4}) {
    EXPECT_TRUE(got[i].transpose(1, 2).is_contiguous());
  }
}

TEST_F(TreeAttentionOp, SameBitsWithAnyNumberOfThreads) {
  const auto x = Call::random({1, 3, 700, 16}, 16).to(torch::kFloat);
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = x.run();
  at::set_num_threads(3);
  const auto three = x.run();
  at::set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(torch::equal(one[i], three[i])) << i;
  }
}

TEST_F(TreeAttentionOp, LaterInputsDoNotReachEarlierOutputs) {
  for (const auto type : {torch::kDouble, torch::kFloat}) {
    for (const int64_t window : {4, 64}) {
      const auto x = Call::random({1, 1, 400, 8}, window).to(type);
      const auto before = std::get<0>(tree_attention(x.q, x.k, x.v, window));
      for (const int64_t t : {1, 63, 64, 130, 399}) {
        auto k = x.k.clone(), v = x.v.clone();
        k.slice(2, t).fill_(1e4);
        v.slice(2, t).fill_(-1e4);
        const auto after = std::get<0>(tree_attention(x.q, k, v, window));
        EXPECT_TRUE(torch::equal(before.slice(2, 0, t), after.slice(2, 0, t)))
            << t;
        EXPECT_FALSE(torch::equal(before.slice(2, t), after.slice(2, t)));
      }
    }
  }
}

TEST_F(TreeAttentionOp, TakesAnEmptyBatch) {
  const auto got = Call::random({0, 2, 9, 4}, 2).run();
  EXPECT_EQ(got[0].sizes(), at::IntArrayRef({0, 2, 9, 4}));
  EXPECT_EQ(got[1].sizes(), at::IntArrayRef({0, 2, 9}));
}

} // namespace
} // namespace signalllm::ops
