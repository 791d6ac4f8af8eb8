#include "nn/tree_ring.h"
#include "nn/tree_scores.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numbers>
#include <string>

namespace signalllm::tree {
namespace {

using at::Tensor;

/// A level's slots are `[2 W j, 2 W (j + 1))`; node n is in slot n mod 2 W.
struct Slots {
  Tensor size; // [levels]: positions of a window of nodes, W 2^j
  Tensor start; // [levels, 2 W]: first position of the slot's node, mod 2 size
  Tensor bias; // [levels, 1]: j ln 2
  Tensor nothing; // -inf
};

/// Kept for good: a recorded step may read them at any time.
const Slots& slots(int64_t window, int64_t levels, const at::TensorOptions& o) {
  static std::mutex mutex;
  static auto& kept = *new std::map<std::string, Slots>;
  const auto type = c10::typeMetaToScalarType(o.dtype());
  const auto key = c10::str(window, ' ', levels, ' ', o.device(), ' ', type);
  const std::lock_guard lock(mutex);
  auto& table = kept[key];
  if (!table.size.defined()) {
    const auto integer = at::dtype(at::kLong);
    const auto level = at::arange(levels, integer).unsqueeze(1);
    const auto power = at::ones_like(level).bitwise_left_shift(level);
    table.size = (power * window).squeeze(1).to(o.device());
    table.start = (power * at::arange(2 * window, integer)).to(o.device());
    table.bias = (level.to(type) * std::numbers::ln2).to(o.device());
    table.nothing = at::full({}, -std::numeric_limits<double>::infinity(), o);
  }
  return table;
}

Tensor level_of(const Tensor& ring, int64_t level, int64_t window) {
  return ring.slice(3, 2 * window * level, 2 * window * (level + 1));
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

} // namespace

int64_t ring_levels(const TreeAttentionState& state, int64_t window) {
  return state.ring.size(3) / (2 * window);
}

// In positions, a level with windows of S of them: a position t sees the nodes
// that begin in [t - t mod S - S, E), E where those of the next finer level
// begin, t + 1 for positions themselves.
Tensor ring_bias(
    const Tensor& positions,
    int64_t window,
    int64_t levels,
    const at::TensorOptions& like) {
  const auto& table = slots(window, levels, like);
  const auto t = positions.unsqueeze(1);
  const auto begin = t - t.remainder(table.size) - table.size;
  const auto end =
      at::cat({t + 1, begin.slice(1, 0, levels - 1)}, 1).unsqueeze(2);
  const auto from = begin.unsqueeze(2);
  const auto first =
      (table.start - from).remainder(table.size.unsqueeze(1) * 2) + from;
  const auto seen = first.ge(0).logical_and(first.lt(end));
  return at::where(seen, table.bias, table.nothing).flatten(1);
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
    int64_t window) {
  const auto length = key.size(2);
  const auto levels = levels_in_sight(length / window) + 1;
  state.ring = at::zeros(
      {2, key.size(0), key.size(1), 2 * window * levels, key.size(3)},
      key.options());
  state.length = length;
  auto keys = key, values = value;
  for (int64_t level = 0; level < levels; ++level) {
    if (level > 0) {
      // Only nodes of whole chunks, and of the finer level whole windows.
      const auto fine = (length / window >> (level - 1)) * window;
      keys = coarser(keys.slice(2, 0, fine));
      values = coarser(values.slice(2, 0, fine));
    }
    const auto count = keys.size(2);
    const auto from = std::max<int64_t>(0, count - 2 * window);
    const auto ring = level_of(state.ring, level, window);
    place(ring.select(0, 0), count, keys.slice(2, from));
    place(ring.select(0, 1), count, values.slice(2, from));
  }
}

bool advance_ring(TreeAttentionState& state, int64_t window) {
  if (state.length % window != 0) {
    return false;
  }
  const auto chunks = state.length / window;
  const auto levels = ring_levels(state, window);
  for (int64_t level = 1;
       level < levels && chunks % (int64_t{1} << (level - 1)) == 0;
       ++level) {
    // The last window of the finer level ends with its node `end`.
    const auto end = (chunks >> (level - 1)) * window;
    const auto fine = (end - window) % (2 * window);
    const auto coarse = (end - window) / 2 % (2 * window);
    average(
        level_of(state.ring, level - 1, window).slice(3, fine, fine + window),
        level_of(state.ring, level, window)
            .slice(3, coarse, coarse + window / 2));
  }
  if (levels_in_sight(chunks) < levels) {
    return false;
  }
  // The next chunk is the first to see this level: of its two windows so far
  // the finer level has all.
  const auto more = at::zeros_like(level_of(state.ring, 0, window));
  average(level_of(state.ring, levels - 1, window), more.slice(3, 0, window));
  state.ring = at::cat({state.ring, more}, 3);
  return true;
}

Tensor attend_ring(
    const Tensor& query,
    const TreeAttentionState& state,
    const Tensor& bias) {
  const auto keys = state.ring.select(0, 0).flatten(0, 1);
  const auto values = state.ring.select(0, 1).flatten(0, 1);
  const auto logits =
      at::baddbmm(bias.unsqueeze(0), query.flatten(0, 1), keys.transpose(1, 2));
  return at::bmm(logits.softmax(-1), values).view(query.sizes());
}

Tensor ring_incremental(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    TreeAttentionState& state,
    int64_t window,
    at::ScalarType wide) {
  const auto scale = std::sqrt(static_cast<double>(query.size(3)));
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < query.size(2);) {
    const auto end =
        std::min(query.size(2), begin + window - state.length % window);
    const auto part = [&](const Tensor& x) {
      return x.slice(2, begin, end).to(wide);
    };
    const auto k = part(key), v = part(value), q = part(query);
    make_ring(state, k, window);
    const auto after = state.length + end - begin;
    const auto fine = level_of(state.ring, 0, window);
    place(fine.select(0, 0), after, k);
    place(fine.select(0, 1), after, v);
    const auto positions =
        at::arange(state.length, after, q.options().dtype(at::kLong));
    parts.push_back(attend_ring(
        q / scale,
        state,
        ring_bias(positions, window, ring_levels(state, window), q.options())));
    state.length = after;
    advance_ring(state, window);
    begin = end;
  }
  return (parts.size() == 1 ? parts[0] : at::cat(parts, 2))
      .to(query.scalar_type());
}

} // namespace signalllm::tree
