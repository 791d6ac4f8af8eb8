#include "nn/tree_attention.h"
#include "nn/tree_ring.h"
#include "nn/tree_scores.h"

#include <ATen/Functions.h>
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace signalllm {
namespace {

using at::Tensor;
using Level = TreeAttentionState::Level;

/// Makes room for `more` rows behind those of a level.
void reserve(Tensor& rows, int64_t held, int64_t more, const Tensor& like) {
  if (rows.defined() && rows.size(2) >= held + more) {
    return;
  }
  auto sizes = like.sizes().vec();
  sizes[2] = std::max(2 * held, held + more);
  auto grown = at::empty(sizes, like.options());
  if (held > 0) {
    grown.slice(2, 0, held).copy_(rows.slice(2, 0, held));
  }
  rows = grown;
}

/// With nodes opened: all nodes are kept.
class Stepper {
 public:
  Stepper(TreeAttentionState& state, const TreeAttentionOptions& options)
      : state_(state), window_(options.window), opened_(options.opened) {}

  /// Positions of one chunk, in the dtype of accumulation.
  Tensor step(const Tensor& query, const Tensor& key, const Tensor& value) {
    remember(key, value);
    const auto count = query.size(2);
    const auto own = state_.length - (state_.length - 1) / window_ * window_;
    const auto slots = state_.far + own;
    // [N, one group, slots or queries, size].
    const auto one_group = [](const Tensor& x) {
      return x.flatten(0, 1).unsqueeze(1);
    };
    tree::Context seen;
    seen.keys = one_group(state_.keys.slice(2, 0, slots));
    seen.values = one_group(state_.values.slice(2, 0, slots));
    seen.bias = state_.bias.slice(2, 0, slots);
    seen.nodes = state_.nodes;
    seen.level_ends = state_.level_ends;
    if (count > 1) {
      seen.later =
          at::ones({count, count}, query.options().dtype(at::kBool)).triu(1);
    }
    const auto p = tree::probabilities(
        one_group(query) / std::sqrt(static_cast<double>(query.size(3))),
        seen,
        opened_,
        gather(&Level::keys));
    return tree::weigh(p, seen, gather(&Level::values)).view(query.sizes());
  }

  /// Takes up the first positions of a sequence without computing anything.
  void remember_many(const Tensor& key, const Tensor& value) {
    const auto length = key.size(2);
    const auto chunks = length / window_;
    add(0,
        key.slice(2, 0, chunks * window_),
        value.slice(2, 0, chunks * window_));
    auto keys = key;
    auto values = value;
    for (int64_t level = 1; chunks >> (level - 1) > 0; ++level) {
      const auto fine = (chunks >> (level - 1)) * window_;
      keys = tree::coarser(keys.slice(2, 0, fine));
      values = tree::coarser(values.slice(2, 0, fine));
      add(level, keys, values);
    }
    state_.length = chunks * window_;
    if (length > state_.length) {
      remember(key.slice(2, state_.length), value.slice(2, state_.length));
    }
  }

 private:
  /// Appends positions of one chunk.
  void remember(const Tensor& key, const Tensor& value) {
    const auto chunk = state_.length / window_;
    if (state_.length % window_ == 0) {
      begin(chunk, key);
    }
    const auto from = state_.far + state_.length % window_;
    const auto end = from + key.size(2);
    state_.keys.slice(2, from, end).copy_(key);
    state_.values.slice(2, from, end).copy_(value);
    state_.length += key.size(2);
    if (state_.length % window_ == 0) {
      complete(chunk + 1);
    }
  }

  /// Gathers what a new chunk sees.
  void begin(int64_t chunk, const Tensor& like) {
    const auto levels = tree::levels_in_sight(chunk);
    const auto integer = like.options().dtype(at::kLong);
    std::vector<Tensor> keys, values, nodes, bias;
    state_.level_ends.clear();
    state_.far = 0;
    const auto see = [&](int64_t level, int64_t begin, int64_t end) {
      const auto& from = state_.levels[static_cast<size_t>(level)];
      keys.push_back(from.keys.slice(2, begin, end));
      values.push_back(from.values.slice(2, begin, end));
      nodes.push_back(at::arange(begin, end, integer));
      bias.push_back(at::full(
          {end - begin},
          static_cast<double>(level) * std::numbers::ln2,
          like.options()));
      state_.far += end - begin;
    };
    for (int64_t level = levels; level >= 1; --level) {
      see(level,
          ((chunk >> level) - 1) * window_,
          ((chunk >> (level - 1)) - 1) * window_ / 2);
      state_.level_ends.push_back(state_.far);
    }
    if (chunk > 0) {
      see(0, (chunk - 1) * window_, chunk * window_);
    }
    auto sizes = like.sizes().vec();
    sizes[2] = window_;
    keys.push_back(at::empty(sizes, like.options()));
    values.push_back(at::empty(sizes, like.options()));
    bias.push_back(at::zeros({window_}, like.options()));
    state_.keys = at::cat(keys, 2);
    state_.values = at::cat(values, 2);
    state_.bias = at::cat(bias).view({1, 1, -1});
    if (!nodes.empty()) {
      state_.nodes = at::cat(nodes).unsqueeze(0);
    }
  }

  /// Files the current chunk as number `chunks - 1` and the nodes that are
  /// complete with it.
  void complete(int64_t chunks) {
    auto keys = state_.keys.slice(2, state_.far);
    auto values = state_.values.slice(2, state_.far);
    add(0, keys, values);
    for (int64_t level = 1; chunks % (int64_t{1} << (level - 1)) == 0;
         ++level) {
      const auto& fine = state_.levels[static_cast<size_t>(level - 1)];
      const auto end = fine.count;
      keys = tree::coarser(fine.keys.slice(2, end - window_, end));
      values = tree::coarser(fine.values.slice(2, end - window_, end));
      add(level, keys, values);
    }
  }

  /// Appends nodes to a level.
  void add(int64_t number, const Tensor& keys, const Tensor& values) {
    if (keys.size(2) == 0) {
      return;
    }
    if (static_cast<int64_t>(state_.levels.size()) <= number) {
      state_.levels.resize(static_cast<size_t>(number) + 1);
    }
    auto& level = state_.levels[static_cast<size_t>(number)];
    const auto count = level.count + keys.size(2);
    reserve(level.keys, level.count, keys.size(2), keys);
    reserve(level.values, level.count, keys.size(2), values);
    level.keys.slice(2, level.count, count).copy_(keys);
    level.values.slice(2, level.count, count).copy_(values);
    level.count = count;
  }

  tree::Gather gather(Tensor Level::*which) const {
    return [this, which](int64_t number, const Tensor& nodes) {
      const auto& level = state_.levels[static_cast<size_t>(number)];
      const auto rows = (level.*which).flatten(0, 1);
      auto sizes = nodes.sizes().vec();
      sizes.push_back(rows.size(2));
      return rows
          .gather(
              1, nodes.flatten(1).unsqueeze(-1).expand({-1, -1, rows.size(2)}))
          .view(sizes);
    };
  }

  TreeAttentionState& state_;
  int64_t window_, opened_;
};

} // namespace

int64_t TreeAttentionState::bytes() const {
  int64_t sum = 0;
  const auto count = [&](const Tensor& tensor) {
    sum += tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
  };
  for (const auto& level : levels) {
    count(level.keys);
    count(level.values);
  }
  for (const auto& tensor : {ring, keys, values, bias, nodes}) {
    count(tensor);
  }
  return sum;
}

Tensor tree_attention_incremental(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    TreeAttentionState& state,
    const TreeAttentionOptions& options) {
  const auto* name = "tree_attention_incremental";
  check_tree_attention(name, query, key, value, options);
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::autocast_dispatch_keyset);
  const at::NoGradGuard no_grad;
  const auto wide = at::toOpMathType(query.scalar_type());
  const auto length = query.size(2);
  const bool first = state.length == 0 && length > 1;
  if (options.opened == 0) {
    if (!first) {
      return tree::ring_incremental(
          query, key, value, state, options.window, wide);
    }
    tree::fill_ring(state, key.to(wide), value.to(wide), options.window);
    return tree_attention(query, key, value, options);
  }
  Stepper stepper(state, options);
  if (first) {
    stepper.remember_many(key.to(wide), value.to(wide));
    return tree_attention(query, key, value, options);
  }
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < length;) {
    const auto end = std::min(
        length, begin + options.window - state.length % options.window);
    const auto part = [&](const Tensor& x) {
      return x.slice(2, begin, end).to(wide);
    };
    parts.push_back(stepper.step(part(query), part(key), part(value)));
    begin = end;
  }
  return (parts.size() == 1 ? parts[0] : at::cat(parts, 2))
      .to(query.scalar_type());
}

} // namespace signalllm
