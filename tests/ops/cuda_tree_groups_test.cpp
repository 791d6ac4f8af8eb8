// The index code of the kernels of `tree_attention` on the host: what a block
// reads against what the definition lets its queries see.

#include "ops/cuda/attention/tree_groups.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

namespace signalllm::cuda::tree {
namespace {

using Node = std::pair<int, int>; // level, index

/// The definition, of one query.
std::set<Node> seen_by(int t, int window) {
  const auto start = [&](int level) {
    const auto size = static_cast<long long>(window) << level;
    return std::max(0LL, t / size - 1) * size;
  };
  std::set<Node> nodes;
  for (auto i = start(0); i <= t; ++i) {
    nodes.emplace(0, static_cast<int>(i));
  }
  for (int level = 1; start(level - 1) > 0; ++level) {
    for (auto i = start(level); i < start(level - 1); i += 1LL << level) {
      nodes.emplace(level, static_cast<int>(i >> level));
    }
  }
  return nodes;
}

Node node_of(const Layout& l, const Group& g, int i) {
  return {g.level, g.row - (g.level > 0 ? l.first_node[g.level] : 0) + i};
}

bool sees(const Layout& l, const Group& g, int i, int t) {
  const int chunk = l.chunk(t);
  return chunk >= g.first_chunk && chunk <= g.last_chunk &&
      (g.level > 0 || g.row + i <= t);
}

std::vector<std::pair<int, int>> shapes() {
  std::vector<std::pair<int, int>> out;
  for (const int window : {16, 32, 48, 64, 128, 176}) {
    for (const int length : {1, 15, 64, 65, 200, 517, 1024, 2049, 4096}) {
      out.emplace_back(length, window);
    }
  }
  return out;
}

TEST(CudaTreeGroups, ABlockOfQueriesReadsWhatItsQueriesSee) {
  for (const auto& [length, window] : shapes()) {
    SCOPED_TRACE(std::to_string(length) + ", " + std::to_string(window));
    const auto l = make_layout(length, window);
    for (int first = 0; first < length; first += kBlock) {
      const int end = std::min(first + kBlock, length);
      const Seen seen(l, first, end);
      const int count = seen.groups(l);
      ASSERT_LE((count + 7) / 8 * 8, Seen::most_groups(l));
      EXPECT_EQ(seen.group(l, count).level, -1);
      for (int t = first; t < end; ++t) {
        std::vector<Node> got;
        for (int g = 0; g < count; ++g) {
          const auto group = seen.group(l, g);
          for (int i = 0; i < kGroup; ++i) {
            if (sees(l, group, i, t)) {
              got.push_back(node_of(l, group, i));
            }
          }
        }
        std::sort(got.begin(), got.end());
        const auto want = seen_by(t, window);
        ASSERT_TRUE(
            std::equal(got.begin(), got.end(), want.begin(), want.end()))
            << t;
      }
    }
  }
}

TEST(CudaTreeGroups, BlocksOfNodesTogetherMeetEveryQueryThatSeesThem) {
  for (const auto& [length, window] : shapes()) {
    SCOPED_TRACE(std::to_string(length) + ", " + std::to_string(window));
    const auto l = make_layout(length, window);
    auto p = make_parts(l);
    if (l.levels > 0) {
      EXPECT_EQ(p.parts[1], 1);
    }
    // Every (node, query) that a block computes, once.
    std::map<std::pair<Node, int>, int> met;
    std::set<std::tuple<int, int, int>> places;
    const auto meet = [&](int level, int first, int part) {
      const int most = level == 0 ? length : l.seen(level);
      int from, to;
      seeing(l, level, first, part, p.queries, from, to);
      EXPECT_EQ(from % kBlock, 0);
      for (int row = first; row < std::min(first + kBlock, most); ++row) {
        const auto group = group_at(l, level, row / kGroup * kGroup);
        for (int t = from; t < to; ++t) {
          if (sees(l, group, row % kGroup, t)) {
            ++met[{{level, row}, t}];
          }
        }
      }
    };
    for (int first = 0; first < length; first += kBlock) {
      meet(0, first, -1);
    }
    for (int number = 0; number < p.blocks; ++number) {
      const auto block = node_block(l, p, number);
      ASSERT_GE(block.level, 1);
      ASSERT_LT(block.first, l.seen(block.level));
      ASSERT_LT(block.part, p.parts[block.level]);
      EXPECT_TRUE(places.emplace(block.level, block.first, block.part).second);
      meet(block.level, block.first, block.part);
    }
    size_t pairs = 0;
    for (int t = 0; t < length; ++t) {
      for (const auto& node : seen_by(t, window)) {
        ++pairs;
        const auto at = met.find({node, t});
        ASSERT_TRUE(at != met.end() && at->second == 1)
            << "level " << node.first << ", node " << node.second << ", " << t;
      }
    }
    EXPECT_EQ(met.size(), pairs);
  }
}

} // namespace
} // namespace signalllm::cuda::tree
