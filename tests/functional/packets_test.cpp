#include <signalllm/functional.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace SF = signalllm::functional;

namespace {

/// The cheapest of all covers below `path`, by trying every one.
double
cheapest(const SF::PacketNodes& nodes, const std::string& path, size_t depth) {
  const double own = SF::shannon_entropy(nodes.at(path));
  return path.size() == depth ? own
                              : std::min(
                                    own,
                                    cheapest(nodes, path + "a", depth) +
                                        cheapest(nodes, path + "d", depth));
}

} // namespace

RC_GTEST_PROP(Packets, AnyCoverGivesTheSignalBack, ()) {
  const int64_t n = *rc::gen::inRange(12, 70);
  const auto mode = *rc::gen::elementOf(signalllm::modes());
  const auto x = at::randn({2, n, 2}, at::kDouble);
  const auto nodes = SF::packet_tree(x, "db2", 2, mode);
  RC_ASSERT(nodes.size() == 7u);
  const std::vector<std::vector<std::string>> covers{
      {""},
      {"a", "d"},
      {"aa", "ad", "d"},
      {"a", "da", "dd"},
      {"aa", "ad", "da", "dd"}};
  SF::PacketNodes some;
  for (const auto& path : *rc::gen::elementOf(covers)) {
    some.emplace(path, nodes.at(path));
  }
  const auto y = SF::packet_reconstruct(some, "db2", n, mode);
  RC_ASSERT(at::allclose(y, x, 1e-9, 1e-9));
}

TEST(Packets, TheLeftEdgeIsTheWavedec) {
  const auto x = at::randn({1, 50, 2}, at::kDouble);
  const auto nodes = SF::packet_tree(x, "sym3", 3);
  const auto coeffs = SF::wavedec(x, "sym3", 3);
  EXPECT_TRUE(at::equal(nodes.at("aaa"), coeffs[0]));
  EXPECT_TRUE(at::equal(nodes.at("aad"), coeffs[1]));
  EXPECT_TRUE(at::equal(nodes.at("d"), coeffs[3]));
}

TEST(Packets, OrdersOfTheSecondLevel) {
  using V = std::vector<std::string>;
  EXPECT_EQ(SF::packet_paths(2), (V{"aa", "ad", "da", "dd"}));
  EXPECT_EQ(SF::packet_paths(2, "freq"), (V{"aa", "ad", "dd", "da"}));
  EXPECT_EQ(SF::packet_paths(0), V{""});
  EXPECT_THROW(SF::packet_paths(2, "random"), c10::Error);
}

TEST(Packets, TheBestBasisIsTheCheapestCover) {
  for (int i = 0; i < 20; ++i) {
    const auto t = at::arange(128, at::kDouble);
    auto x =
        at::sin(t * (0.1 + 0.15 * i)) + 0.3 * at::randn({128}, at::kDouble);
    x = x / x.norm();
    const auto nodes = SF::packet_tree(x, "db2", 4, "periodization", -1);
    const auto basis = SF::best_basis(nodes);
    double cost = 0;
    SF::PacketNodes chosen;
    for (const auto& path : basis) {
      cost += SF::shannon_entropy(nodes.at(path));
      chosen.emplace(path, nodes.at(path));
    }
    EXPECT_NEAR(cost, cheapest(nodes, "", 4), 1e-9);
    const auto y =
        SF::packet_reconstruct(chosen, "db2", 128, "periodization", -1);
    EXPECT_TRUE(at::allclose(y, x, 1e-9, 1e-9));
  }
  // A cost that likes small nodes least keeps the signal whole.
  const auto nodes = SF::packet_tree(at::randn({64}), "haar", 2, "zero", -1);
  const auto whole =
      SF::best_basis(nodes, [](const at::Tensor&) { return 1.; });
  EXPECT_EQ(whole, std::vector<std::string>{""});
}

TEST(Packets, IncompleteNodesAreRefused) {
  auto nodes = SF::packet_tree(at::randn({1, 40, 2}), "haar", 2);
  EXPECT_THROW(SF::packet_reconstruct(nodes, "haar", 40), c10::Error);
  nodes.erase("");
  nodes.erase("a");
  nodes.erase("d");
  EXPECT_NO_THROW(SF::packet_reconstruct(nodes, "haar", 40));
  EXPECT_THROW(SF::packet_reconstruct(nodes, "haar", 50), c10::Error);
  nodes.erase("ad");
  EXPECT_THROW(SF::packet_reconstruct(nodes, "haar", 40), c10::Error);
  EXPECT_THROW(SF::packet_reconstruct({}, "haar", 40), c10::Error);
  EXPECT_THROW(
      SF::packet_reconstruct({{"x", at::ones({1, 4, 1})}}, "haar", 8),
      c10::Error);
}
