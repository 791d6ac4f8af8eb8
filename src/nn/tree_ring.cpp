#include "nn/tree_ring.h"
#include "nn/tree_scores.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <mutex>
#include <numbers>
#include <string>

namespace signalllm::tree {
namespace {

using at::Tensor;

/// The coarsest level comes first: level j has the slots from 2 W (J - j) on,
/// its node n the one at n mod 2 W of them.
struct Slots {
  Tensor size; // [J + 1]: positions of a window of nodes, W 2^j
  Tensor start; // [J + 1, 2 W]: first position of the slot's node, mod 2 size
  Tensor level; // [J + 1, 1]: j
  Tensor bias; // [J + 1, 1]: j ln 2
  Tensor nothing; // -inf
};

/// Kept for good: a recorded step may read them at any time.
const Slots& slots(int64_t window, int64_t levels, const at::TensorOptions& o) {
  static std::mutex mutex;
  // Never destroyed: a device's memory may be gone before static objects are.
  static auto& kept = *new std::map<std::string, Slots>;
  const auto type = c10::typeMetaToScalarType(o.dtype());
  const auto key = c10::str(window, ' ', levels, ' ', o.device(), ' ', type);
  const std::lock_guard lock(mutex);
  auto& table = kept[key];
  if (!table.size.defined()) {
    const auto integer = at::dtype(at::kLong);
    const auto level = at::arange(levels - 1, -1, -1, integer).unsqueeze(1);
    const auto power = at::ones_like(level).bitwise_left_shift(level);
    table.size = (power * window).squeeze(1).to(o.device());
    table.start = (power * at::arange(2 * window, integer)).to(o.device());
    table.level = level.to(o.device());
    table.bias = (level.to(type) * std::numbers::ln2).to(o.device());
    table.nothing = at::full({}, -std::numeric_limits<double>::infinity(), o);
  }
  return table;
}

/// Slots of a level, which counts from the end.
Tensor level_of(const Tensor& ring, int64_t level, int64_t window) {
  const auto end = ring.size(3) - 2 * window * level;
  return ring.slice(3, end - 2 * window, end);
}

/// The means of two neighbours, into `coarse`.
void average(const Tensor& fine, const Tensor& coarse) {
  const auto twins = fine.unflatten(3, {coarse.size(3), 2});
  coarse.copy_(twins.select(4, 0).lerp(twins.select(4, 1), 0.5));
}

/// Rows `[..., n, d]` to the slots of the nodes that end before `end`.
void place(const Tensor& level, int64_t end, const Tensor& rows) {
  const auto capacity = level.size(2);
  for (auto first = end - rows.size(2); first < end;) {
    const auto slot = first % capacity;
    const auto count = std::min(capacity - slot, end - first);
    const auto from = first - (end - rows.size(2));
    level.slice(2, slot, slot + count).copy_(rows.slice(2, from, from + count));
    first += count;
  }
}

/// Nodes of a level that are complete with `chunks` chunks.
int64_t complete(int64_t level, int64_t chunks, int64_t window) {
  return level == 0 ? chunks * window : (chunks >> (level - 1)) * (window / 2);
}

/// Room for all nodes of a level until the number of chunks has doubled, when
/// the ring gets a level too. True where it is new.
bool reserve_nodes(
    TreeAttentionState& state,
    int64_t level,
    int64_t held,
    int64_t chunks,
    int64_t window) {
  if (static_cast<int64_t>(state.all.size()) <= level) {
    state.all.resize(static_cast<size_t>(level) + 1);
  }
  auto& rows = state.all[static_cast<size_t>(level)];
  const auto capacity = complete(
      level,
      static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(chunks) + 1)),
      window);
  if (rows.defined() && rows.size(3) >= capacity) {
    return false;
  }
  auto sizes = state.ring.sizes().vec();
  sizes[3] = capacity;
  const auto grown = at::zeros(sizes, state.ring.options());
  if (held > 0) {
    grown.slice(3, 0, held).copy_(rows.slice(3, 0, held));
  }
  rows = grown;
  return true;
}

/// The nodes of a level from number `held` on, which the last chunk has
/// completed, from the ring to all of them.
bool keep(
    TreeAttentionState& state,
    int64_t level,
    int64_t held,
    int64_t chunks,
    int64_t window) {
  const bool replaced = reserve_nodes(state, level, held, chunks, window);
  const auto count = complete(level, chunks, window);
  const auto slot = held % (2 * window);
  state.all[static_cast<size_t>(level)]
      .slice(3, held, count)
      .copy_(level_of(state.ring, level, window)
                 .slice(3, slot, slot + count - held));
  return replaced;
}

tree::Gather gather(const TreeAttentionState& state, int64_t which) {
  return [&state, which](int64_t level, const Tensor& nodes) {
    const auto rows =
        state.all[static_cast<size_t>(level)].select(0, which).flatten(0, 1);
    const auto size = rows.size(2);
    auto sizes = nodes.sizes().vec();
    sizes.push_back(size);
    return rows.gather(1, nodes.flatten(1).unsqueeze(-1).expand({-1, -1, size}))
        .view(sizes);
  };
}

} // namespace

int64_t ring_levels(const TreeAttentionState& state, int64_t window) {
  return state.ring.defined() ? state.ring.size(3) / (2 * window) : 1;
}

Tensor slots_of(const Tensor& positions, int64_t levels, int64_t window) {
  return positions.remainder(2 * window).add_(2 * window * (levels - 1));
}

// In positions, a level with windows of S of them: a position t sees the nodes
// that begin in [t - t mod S - S, E), E where those of the next finer level
// begin, t + 1 for positions themselves.
Sight sight(
    const Tensor& positions,
    int64_t levels,
    const TreeAttentionOptions& options,
    const at::TensorOptions& like) {
  const auto& table = slots(options.window, levels, like);
  const auto t = positions.unsqueeze(1);
  const auto begin = t - t.remainder(table.size) - table.size;
  const auto end = at::cat({begin.slice(1, 1), t + 1}, 1).unsqueeze(2);
  const auto from = begin.unsqueeze(2);
  const auto first =
      (table.start - from).remainder(table.size.unsqueeze(1) * 2) + from;
  const auto seen = first.ge(0).logical_and(first.lt(end));
  Sight result{at::where(seen, table.bias, table.nothing).flatten(1), {}};
  if (options.opened > 0) {
    result.nodes =
        first.slice(0, 0, 1).bitwise_right_shift(table.level).flatten(1);
  }
  return result;
}

void make_ring(TreeAttentionState& state, const Tensor& key, int64_t window) {
  if (!state.ring.defined()) {
    state.ring = at::zeros(
        {2, key.size(0), key.size(1), 2 * window, key.size(3)}, key.options());
  }
}

void fill_ring(
    TreeAttentionState& state,
    const Tensor& key,
    const Tensor& value,
    const TreeAttentionOptions& options) {
  const auto window = options.window;
  const auto length = key.size(2);
  const auto chunks = length / window;
  const auto levels = levels_in_sight(chunks) + 1;
  state.ring = at::zeros(
      {2, key.size(0), key.size(1), 2 * window * levels, key.size(3)},
      key.options());
  state.length = length;
  auto keys = key, values = value;
  for (int64_t level = 0; level < levels; ++level) {
    if (level > 0) {
      // Only nodes of whole chunks, and of the finer level whole windows.
      const auto fine = 2 * complete(level, chunks, window);
      keys = coarser(keys.slice(2, 0, fine));
      values = coarser(values.slice(2, 0, fine));
    }
    const auto count = keys.size(2);
    const auto from = std::max<int64_t>(0, count - 2 * window);
    const auto ring = level_of(state.ring, level, window);
    place(ring.select(0, 0), count, keys.slice(2, from));
    place(ring.select(0, 1), count, values.slice(2, from));
    const auto whole = complete(level, chunks, window);
    if (options.opened > 0 && whole > 0) {
      reserve_nodes(state, level, 0, chunks, window);
      const auto& rows = state.all.back();
      rows.select(0, 0).slice(2, 0, whole).copy_(keys.slice(2, 0, whole));
      rows.select(0, 1).slice(2, 0, whole).copy_(values.slice(2, 0, whole));
    }
  }
}

bool advance_ring(
    TreeAttentionState& state,
    const TreeAttentionOptions& options) {
  const auto window = options.window;
  if (!state.ring.defined() || state.length == 0 ||
      state.length % window != 0) {
    return false;
  }
  const auto chunks = state.length / window;
  const auto levels = ring_levels(state, window);
  bool replaced = false;
  const auto keep_new = [&](int64_t level) {
    if (options.opened > 0) {
      replaced |= keep(
          state, level, complete(level, chunks - 1, window), chunks, window);
    }
  };
  keep_new(0);
  for (int64_t level = 1;
       level < levels && chunks % (int64_t{1} << (level - 1)) == 0;
       ++level) {
    // The last window of the finer level ends with its node `end`.
    const auto end = 2 * complete(level, chunks, window);
    const auto fine = (end - window) % (2 * window);
    const auto coarse = (end - window) / 2 % (2 * window);
    average(
        level_of(state.ring, level - 1, window).slice(3, fine, fine + window),
        level_of(state.ring, level, window)
            .slice(3, coarse, coarse + window / 2));
    keep_new(level);
  }
  if (levels_in_sight(chunks) < levels) {
    return replaced;
  }
  // The next chunk is the first to see this level: of its two windows so far
  // the finer level has all.
  const auto more = at::zeros_like(level_of(state.ring, 0, window));
  average(level_of(state.ring, levels - 1, window), more.slice(3, 0, window));
  state.ring = at::cat({more, state.ring}, 3);
  if (options.opened > 0) {
    keep(state, levels, 0, chunks, window);
  }
  return true;
}

Tensor attend_all(
    const Tensor& query,
    const Tensor& keys,
    const Tensor& values,
    const Tensor& bias) {
  const auto logits = at::baddbmm(
      bias.unsqueeze(0),
      query.flatten(0, 1),
      keys.flatten(0, 1).transpose(1, 2));
  return at::bmm(logits.softmax(-1), values.flatten(0, 1)).view(query.sizes());
}

Tensor attend_ring(
    const Tensor& query,
    const TreeAttentionState& state,
    const Sight& seen,
    const TreeAttentionOptions& options) {
  const auto keys = state.ring.select(0, 0);
  const auto values = state.ring.select(0, 1);
  const auto levels = ring_levels(state, options.window);
  if (options.opened == 0 || levels == 1) {
    return attend_all(query, keys, values, seen.bias);
  }
  Context context;
  context.keys = keys.flatten(0, 1).unsqueeze(1);
  context.values = values.flatten(0, 1).unsqueeze(1);
  context.bias = seen.bias.unsqueeze(0);
  context.nodes = seen.nodes;
  for (int64_t level = 1; level < levels; ++level) {
    context.level_ends.push_back(2 * options.window * level);
  }
  const auto p = probabilities(
      query.flatten(0, 1).unsqueeze(1),
      context,
      options.opened,
      gather(state, 0));
  return weigh(p, context, gather(state, 1)).view(query.sizes());
}

void put_in_ring(
    TreeAttentionState& state,
    const Tensor& key,
    const Tensor& value,
    int64_t window) {
  make_ring(state, key, window);
  const auto end = state.length + key.size(2);
  const auto fine = level_of(state.ring, 0, window);
  place(fine.select(0, 0), end, key);
  place(fine.select(0, 1), end, value);
}

} // namespace signalllm::tree
