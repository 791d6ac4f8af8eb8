#include "support.h"

#include <signalllm/nn/tree_attention.h>

#include <cmath>
#include <numbers>

using namespace signalllm;
using namespace signalllm::test;
using torch::Tensor;

struct TreeAttentionTest : testing::Test {
  struct Triple {
    Tensor q, k, v;
  };

  static Triple random(int64_t batch, int64_t heads, int64_t length) {
    const auto make = [&] {
      return torch::randn({batch, heads, length, 4}, torch::kDouble);
    };
    return {make(), make(), make()};
  }

  static Tensor dense(const Triple& x) {
    return at::scaled_dot_product_attention(x.q, x.k, x.v, {}, 0.0, true);
  }

  /// The definition, one query and one node at a time.
  class Slow {
   public:
    Slow(Tensor q, Tensor k, Tensor v, TreeAttentionOptions options)
        : q_(std::move(q)), k_(std::move(k)), v_(std::move(v)),
          options_(options) {}

    Tensor run() {
      std::vector<Tensor> rows;
      for (int64_t t = 0; t < q_.size(0); ++t) {
        rows.push_back(row(t));
      }
      return torch::stack(rows);
    }

   private:
    struct Node {
      int64_t level, index;
      Tensor logit;
    };

    static Tensor mean(const Tensor& x, int64_t level, int64_t index) {
      return x.slice(0, index << level, (index + 1) << level).mean(0);
    }

    Node node(int64_t t, int64_t level, int64_t index) const {
      const auto dot = (q_[t] * mean(k_, level, index)).sum();
      return {
          level,
          index,
          dot / std::sqrt(q_.size(1)) +
              std::log(static_cast<double>(int64_t{1} << level))};
    }

    int64_t start(int64_t t, int64_t level) const {
      const auto size = options_.window << level;
      return std::max<int64_t>(0, t / size - 1) * size;
    }

    Tensor row(int64_t t) const {
      std::vector<Node> seen;
      for (int64_t i = start(t, 0); i <= t; ++i) {
        seen.push_back(node(t, 0, i));
      }
      int64_t levels = 0;
      while (start(t, levels) > 0) {
        ++levels;
      }
      std::vector<Node> children;
      for (int64_t level = levels; level >= 1; --level) {
        auto choice = std::move(children);
        children.clear();
        for (auto i = start(t, level); i < start(t, level - 1);
             i += int64_t{1} << level) {
          choice.push_back(node(t, level, i >> level));
        }
        std::sort(
            choice.begin(), choice.end(), [](const Node& a, const Node& b) {
              return a.logit.item<double>() > b.logit.item<double>();
            });
        for (size_t i = 0; i < choice.size(); ++i) {
          if (static_cast<int64_t>(i) < options_.opened) {
            children.push_back(node(t, level - 1, 2 * choice[i].index));
            children.push_back(node(t, level - 1, 2 * choice[i].index + 1));
          } else {
            seen.push_back(choice[i]);
          }
        }
      }
      seen.insert(seen.end(), children.begin(), children.end());
      std::vector<Tensor> logits, values;
      int64_t positions = 0;
      for (const auto& n : seen) {
        logits.push_back(n.logit);
        values.push_back(mean(v_, n.level, n.index));
        positions += int64_t{1} << n.level;
      }
      EXPECT_EQ(positions, t + 1); // every position is seen once
      return torch::stack(logits).softmax(0).matmul(torch::stack(values));
    }

    Tensor q_, k_, v_;
    TreeAttentionOptions options_;
  };

  static Tensor slow(const Triple& x, const TreeAttentionOptions& options) {
    std::vector<Tensor> heads;
    for (int64_t b = 0; b < x.q.size(0); ++b) {
      for (int64_t h = 0; h < x.q.size(1); ++h) {
        heads.push_back(Slow(x.q[b][h], x.k[b][h], x.v[b][h], options).run());
      }
    }
    return torch::stack(heads).view(x.q.sizes());
  }
};

TEST_F(TreeAttentionTest, IsDenseAttentionWhereNodesAreConstant) {
  for (const int64_t length : {17, 64, 100, 255, 256}) {
    for (const int64_t opened : {0, 3}) {
      auto x = random(2, 2, length);
      // The largest nodes in sight have length / (2 W) positions at most.
      const auto held = [&](const Tensor& y) {
        const auto few = y.slice(2, 0, (length + 31) / 32);
        return few.repeat_interleave(32, 2).slice(2, 0, length).contiguous();
      };
      x.k = held(x.k);
      x.v = held(x.v);
      const TreeAttentionOptions options{4, opened};
      expect_close(tree_attention(x.q, x.k, x.v, options), dense(x), 1e-12);
    }
  }
}

TEST_F(TreeAttentionTest, IsDenseAttentionUpToTwoWindows) {
  for (const int64_t length : {1, 2, 7, 15, 16}) {
    const auto x = random(1, 2, length);
    expect_close(tree_attention(x.q, x.k, x.v, {8, 0}), dense(x), 1e-14);
  }
  const auto x = random(1, 2, 17);
  EXPECT_GT(max_error(tree_attention(x.q, x.k, x.v, {8, 0}), dense(x)), 1e-3);
}

TEST_F(TreeAttentionTest, OpeningEverythingIsDenseAttention) {
  // Up to four windows there is one coarse level with at most W nodes.
  const auto x = random(2, 1, 32);
  expect_close(tree_attention(x.q, x.k, x.v, {8, 8}), dense(x), 1e-12);
}

TEST_F(TreeAttentionTest, IsTheDefinition) {
  for (const auto& options :
       {TreeAttentionOptions{4, 0},
        TreeAttentionOptions{4, 2},
        TreeAttentionOptions{6, 1},
        TreeAttentionOptions{2, 2}}) {
    for (const int64_t length : {13, 64, 75}) {
      auto x = random(1, 2, length);
      std::vector<Tensor> leaves{x.q, x.k, x.v};
      for (auto& leaf : leaves) {
        leaf.requires_grad_();
      }
      const auto fast = tree_attention(x.q, x.k, x.v, options);
      const auto expected = slow(x, options);
      expect_close(fast, expected, 1e-12);
      const auto weight = torch::randn_like(fast);
      const auto actual =
          torch::autograd::grad({(fast * weight).sum()}, leaves);
      const auto gradients =
          torch::autograd::grad({(expected * weight).sum()}, leaves);
      for (size_t i = 0; i < leaves.size(); ++i) {
        expect_close(actual[i], gradients[i], 1e-12);
      }
    }
  }
}

TEST_F(TreeAttentionTest, LooksAtNoLaterInput) {
  for (const int64_t opened : {0, 2}) {
    const auto call = [&](const Tensor& in) {
      const auto x = in.unsqueeze(1); // [B, 1, T, 4]
      return tree_attention(x, x * 0.5, x + 1, {4, opened}).squeeze(1);
    };
    expect_causal(call, torch::randn({2, 77, 4}), false);
  }
}

TEST_F(TreeAttentionTest, ManySlabsAreOne) {
  // So many chunks that they are not computed at once.
  const auto x = random(8, 8, 2048);
  const TreeAttentionOptions options{16, 2};
  const auto all = tree_attention(x.q, x.k, x.v, options);
  const auto few = tree_attention(
      x.q.slice(0, 3, 4).slice(1, 2, 3),
      x.k.slice(0, 3, 4).slice(1, 2, 3),
      x.v.slice(0, 3, 4).slice(1, 2, 3),
      options);
  expect_close(all.slice(0, 3, 4).slice(1, 2, 3), few, 1e-12);
}

TEST_F(TreeAttentionTest, IncrementalEqualsParallel) {
  for (const auto& options :
       {TreeAttentionOptions{4, 0},
        TreeAttentionOptions{4, 2},
        TreeAttentionOptions{2, 1},
        TreeAttentionOptions{8, 0}}) {
    for (const int64_t prompt : {1, 3, 4, 8, 33, 96}) {
      const auto x = random(2, 2, 131);
      const auto expected = tree_attention(x.q, x.k, x.v, options);
      TreeAttentionState state;
      std::vector<Tensor> parts;
      for (int64_t at = 0, piece = prompt; at < 131;) {
        const auto end = std::min<int64_t>(at + piece, 131);
        const auto part = [&](const Tensor& y) { return y.slice(2, at, end); };
        parts.push_back(tree_attention_incremental(
            part(x.q), part(x.k), part(x.v), state, options));
        at = end;
        piece = piece == 1 ? 11 : 1;
      }
      EXPECT_EQ(state.length, 131);
      expect_close(torch::cat(parts, 2), expected, 1e-12);
    }
  }
}

TEST_F(TreeAttentionTest, StateGrowsWithTheLogarithm) {
  const TreeAttentionOptions options{4, 0};
  const auto x = random(1, 1, 4096);
  TreeAttentionState step_by_step;
  for (int64_t t = 0; t < 4096; ++t) {
    const auto part = [&](const Tensor& y) { return y.slice(2, t, t + 1); };
    tree_attention_incremental(
        part(x.q), part(x.k), part(x.v), step_by_step, options);
    // Keys and values of 4 numbers: two windows a level, the nodes in sight.
    const auto levels =
        std::log2(std::max(1.0, static_cast<double>(t) / 4)) + 2;
    EXPECT_LE(step_by_step.bytes(), (2 + 1) * levels * 4 * 2 * 4 * 8 + 1024)
        << t;
  }
  TreeAttentionState at_once;
  tree_attention_incremental(x.q, x.k, x.v, at_once, options);
  EXPECT_LE(at_once.bytes(), step_by_step.bytes());
}

TEST_F(TreeAttentionTest, HalfTypesAndAutocastComeNear) {
  const auto x = random(1, 2, 200);
  const auto expected = tree_attention(x.q, x.k, x.v, {8, 0});
  for (const auto type : {torch::kFloat, torch::kBFloat16, torch::kHalf}) {
    const auto y =
        tree_attention(x.q.to(type), x.k.to(type), x.v.to(type), {8, 0});
    EXPECT_EQ(y.scalar_type(), type);
    expect_close(y, expected, type == torch::kFloat ? 1e-5 : 5e-2);
  }
}

TEST_F(TreeAttentionTest, RefusesWhatItCannot) {
  const auto x = random(1, 1, 9);
  const auto said = [&](const TreeAttentionOptions& options) {
    return message_of([&] { tree_attention(x.q, x.k, x.v, options); });
  };
  EXPECT_NE(
      said({3, 0}).find(
          "tree_attention: window is 3, it must be even and at least 2"),
      std::string::npos);
  EXPECT_NE(
      said({4, 5}).find("opened is 5, allowed are 0 to the window, 4"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] {
        tree_attention(x.q, x.k.slice(2, 1), x.v, {4, 0});
      }).find("they must be one [batch, heads, length, size]"),
      std::string::npos);
}
