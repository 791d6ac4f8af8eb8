#include <signalllm/functional/packets.h>

#include <signalllm/functional.h>

#include "ops/signal.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/WrapDimUtils.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <limits>

namespace signalllm::functional {
namespace {

bool begins_with(const std::string& path, const std::string& start) {
  return path.compare(0, start.size(), start) == 0;
}

/// The cheapest cover of the subtree at `path`, and what it costs.
struct Choice {
  double cost;
  std::vector<std::string> paths;
};

Choice choose(
    const PacketNodes& nodes,
    const PacketCost& cost,
    const std::string& path) {
  const auto node = nodes.find(path);
  TORCH_CHECK(
      node != nodes.end(),
      "best_basis: node '",
      path,
      "' is missing; nodes must be a full tree, as packet_tree gives it");
  Choice own{cost(node->second), {path}};
  const auto below = nodes.upper_bound(path);
  if (below == nodes.end() || !begins_with(below->first, path)) {
    return own;
  }
  auto a = choose(nodes, cost, path + "a");
  const auto d = choose(nodes, cost, path + "d");
  a.cost += d.cost;
  a.paths.insert(a.paths.end(), d.paths.begin(), d.paths.end());
  return own.cost <= a.cost ? own : a;
}

} // namespace

PacketNodes packet_tree(
    const at::Tensor& input,
    const Wavelet& wavelet,
    int64_t level,
    std::string_view mode,
    int64_t dim) {
  const auto s = ops::check_signal("packet_tree", input, dim);
  if (level == -1) {
    level = max_level(s.length, wavelet);
  }
  TORCH_CHECK(
      level >= 0 && level <= 20,
      "packet_tree: level ",
      level,
      " is not allowed; -1 to 20");
  PacketNodes nodes{{"", input}};
  for (int64_t l = 0; l < level; ++l) {
    for (const auto& path : packet_paths(l)) {
      auto [a, d] = dwt(nodes.at(path), wavelet, mode, dim);
      nodes.emplace(path + "a", std::move(a));
      nodes.emplace(path + "d", std::move(d));
    }
  }
  return nodes;
}

std::vector<std::string> packet_paths(int64_t level, std::string_view order) {
  TORCH_CHECK(
      level >= 0 && level <= 20,
      "packet_paths: level ",
      level,
      " is not allowed; 0 to 20");
  TORCH_CHECK(
      order == "natural" || order == "freq",
      "packet_paths: order '",
      order,
      "' is unknown; allowed: natural, freq");
  std::vector<std::string> paths{""};
  for (int64_t l = 0; l < level; ++l) {
    std::vector<std::string> next;
    for (size_t i = 0; i < paths.size(); ++i) {
      const bool turned = order == "freq" && i % 2 == 1;
      next.push_back(paths[i] + (turned ? "d" : "a"));
      next.push_back(paths[i] + (turned ? "a" : "d"));
    }
    paths = std::move(next);
  }
  return paths;
}

at::Tensor packet_reconstruct(
    const PacketNodes& nodes,
    const Wavelet& wavelet,
    int64_t length,
    std::string_view mode,
    int64_t dim) {
  TORCH_CHECK(
      !nodes.empty(),
      "packet_reconstruct: nodes is empty; they must cover the signal");
  size_t depth = 0;
  for (const auto& [path, node] : nodes) {
    const auto bad = path.find_first_not_of("ad");
    TORCH_CHECK(
        bad == std::string::npos,
        "packet_reconstruct: path '",
        path,
        "' is not allowed; a path is made of the letters a and d");
    depth = std::max(depth, path.size());
  }
  // In the order of the map, what is below a node follows it at once.
  for (auto node = nodes.begin(); std::next(node) != nodes.end(); ++node) {
    const auto& below = std::next(node)->first;
    TORCH_CHECK(
        !begins_with(below, node->first),
        "packet_reconstruct: node '",
        below,
        "' is below node '",
        node->first,
        "'; every part of the signal must be there once");
  }
  const auto lengths = ops::analysis_lengths(
      "packet_reconstruct",
      ops::parse_mode("packet_reconstruct", mode),
      length,
      wavelet.length(),
      static_cast<int64_t>(depth));
  auto left = nodes;
  for (size_t d = depth; d > 0; --d) {
    PacketNodes merged;
    for (auto& [path, node] : left) {
      if (path.size() < d) {
        merged.emplace(path, node);
        continue;
      }
      const auto parent = path.substr(0, d - 1);
      const auto other = parent + (path.back() == 'a' ? "d" : "a");
      TORCH_CHECK(
          left.count(other) == 1,
          "packet_reconstruct: node '",
          other,
          "' is missing beside '",
          path,
          "'; the nodes must cover the signal");
      if (path.back() == 'a') {
        merged.emplace(
            parent,
            idwt(node, left.at(other), wavelet, mode, dim, lengths[d - 1]));
      }
    }
    left = std::move(merged);
  }
  const auto& y = left.at("");
  const int64_t axis = at::maybe_wrap_dim(dim, y.dim());
  TORCH_CHECK(
      y.size(axis) == length,
      "packet_reconstruct: length ",
      length,
      " does not fit the node '', which has ",
      y.size(axis));
  return y;
}

double shannon_entropy(const at::Tensor& node) {
  const auto energy = node.detach().to(at::kDouble).square();
  return -at::special_xlogy(energy, energy).sum().item<double>();
}

std::vector<std::string> best_basis(
    const PacketNodes& nodes,
    const PacketCost& cost) {
  return choose(nodes, cost, "").paths;
}

} // namespace signalllm::functional
