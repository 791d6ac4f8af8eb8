#include "nn/tree_scores.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <numbers>

namespace signalllm::tree {
namespace {

constexpr auto nothing = -std::numeric_limits<double>::infinity();

/// Opens the `count` best of `scores` (a level's slots) and of `above`: marks
/// them as not seen in both and returns their children.
Children open_best(
    at::Tensor scores,
    const at::Tensor& nodes,
    Children* above,
    int64_t count,
    const at::Tensor& query,
    int64_t level,
    const Gather& key_of) {
  auto slots = scores.size(-1);
  auto indices = nodes.unsqueeze(0).unsqueeze(2).expand(
      {scores.size(0), scores.size(1), scores.size(2), slots});
  auto all = scores;
  if (above) {
    all = at::cat({scores, above->scores}, -1);
    indices = at::cat({indices, above->nodes}, -1);
  }
  const auto [best, where] = all.topk(std::min(count, all.size(-1)), -1);
  all = all.scatter(-1, where, nothing);
  scores.copy_(all.slice(-1, 0, slots));
  if (above) {
    above->scores = all.slice(-1, slots);
  }
  // Fewer may be in sight than are to be opened.
  const auto empty = best.eq(nothing);
  const auto left = indices.gather(-1, where).mul(2).masked_fill_(empty, 0);
  Children children;
  children.level = level - 1;
  children.nodes = at::cat({left, left + 1}, -1);
  children.keys = key_of(children.level, children.nodes);
  children.scores =
      at::matmul(children.keys, query.unsqueeze(-1))
          .squeeze(-1)
          .add_(static_cast<double>(children.level) * std::numbers::ln2)
          .masked_fill_(at::cat({empty, empty}, -1), nothing);
  return children;
}

} // namespace

Probabilities probabilities(
    const at::Tensor& query,
    const Context& context,
    int64_t opened,
    const Gather& key_of) {
  Probabilities p;
  p.context =
      at::matmul(query, context.keys.transpose(-1, -2)).add_(context.bias);
  const auto slots = p.context.size(-1);
  if (context.later.defined()) {
    p.context.slice(-1, slots - context.later.size(-1))
        .masked_fill_(context.later, nothing);
  }
  if (opened == 0 || context.level_ends.empty()) {
    p.context = p.context.softmax(-1);
    return p;
  }
  auto level = static_cast<int64_t>(context.level_ends.size());
  int64_t begin = 0;
  for (const auto end : context.level_ends) {
    auto* above = p.children.empty() ? nullptr : &p.children.back();
    auto children = open_best(
        p.context.slice(-1, begin, end),
        context.nodes.slice(-1, begin, end),
        above,
        opened,
        query,
        level--,
        key_of);
    p.children.push_back(std::move(children));
    begin = end;
  }
  std::vector<at::Tensor> all{p.context};
  for (const auto& children : p.children) {
    all.push_back(children.scores);
  }
  const auto shares = at::cat(all, -1).softmax(-1);
  p.context = shares.slice(-1, 0, slots);
  begin = slots;
  for (auto& children : p.children) {
    const auto end = begin + children.scores.size(-1);
    children.scores = shares.slice(-1, begin, end);
    begin = end;
  }
  return p;
}

at::Tensor
weigh(const Probabilities& p, const Context& context, const Gather& value_of) {
  auto sum = at::matmul(p.context, context.values);
  for (const auto& children : p.children) {
    const auto values = value_of(children.level, children.nodes);
    sum += at::matmul(children.scores.unsqueeze(-2), values).squeeze(-2);
  }
  return sum;
}

at::Tensor coarser(const at::Tensor& fine) {
  const auto pairs = fine.size(-2) / 2;
  const auto twins = fine.slice(-2, 0, 2 * pairs).unflatten(-2, {pairs, 2});
  return (twins.select(-2, 0) + twins.select(-2, 1)).mul_(0.5);
}

int64_t levels_in_sight(int64_t chunk) {
  int64_t levels = 0;
  while (chunk >> (levels + 1) > 0) {
    ++levels;
  }
  return levels;
}

} // namespace signalllm::tree
