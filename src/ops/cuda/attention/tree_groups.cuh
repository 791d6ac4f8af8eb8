#pragma once

// Which keys a block of queries sees, and which queries see a block of nodes:
// index code of the kernels of `tree_attention`, tested on the host too.
//
// Keys come in groups of eight neighbours of a level. The window is a multiple
// of 16, so that a group is seen by whole chunks or not at all, and sixteen
// neighbouring queries belong to one chunk.

#include "ops/tree_ranges.h"

namespace signalllm::cuda::tree {

using ops::tree::nodes_seen;

constexpr int kGroup = 8; // keys of a group
constexpr int kBlock = 64; // queries, or keys, of a block
constexpr int kMaxLevels = 28;
constexpr int kNobody = 0x7fffffff;

/// A sequence and its pyramid: level 0 in the keys themselves, the others one
/// behind the other in a buffer of nodes.
struct Layout {
  int length = 0, window = 0, levels = 0;
  int first_node[kMaxLevels + 1] = {};

  SIGNALLLM_BOTH int chunk(int position) const {
    return position / window;
  }
  /// Nodes of a level that any query sees.
  SIGNALLLM_BOTH int seen(int level) const {
    return static_cast<int>(nodes_seen(chunk(length - 1), level, window).end);
  }
};

inline Layout make_layout(int length, int window) {
  Layout l;
  l.length = length;
  l.window = window;
  l.levels = ops::tree::levels_seen((length - 1) / window);
  for (int level = 1; level <= l.levels + 1; ++level) {
    l.first_node[level] =
        static_cast<int>(ops::tree::first_node(length, level));
  }
  return l;
}

/// Eight keys: the first one's row, level -1 for none, and the chunks whose
/// queries see them (in their own chunk, level 0, those not before them).
struct Group {
  int row, level, first_chunk, last_chunk;
};

SIGNALLLM_BOTH inline Group no_group() {
  return {0, -1, kNobody, -1};
}

/// The group that begins at `index` of a level.
SIGNALLLM_BOTH inline Group group_at(const Layout& l, int level, int index) {
  const int behind = index / l.window;
  if (level == 0) {
    return {index, 0, behind, behind + 1};
  }
  const bool late = index - behind * l.window >= l.window / 2;
  return {
      l.first_node[level] + index,
      level,
      ((behind + 1) << level) + (late ? 1 << (level - 1) : 0),
      ((behind + 2) << level) - 1};
}

/// What the queries `[first, end)` see, their groups in one order: the
/// coarsest level first.
struct Seen {
  int first_chunk, last_chunk, end;

  SIGNALLLM_BOTH Seen(const Layout& l, int first, int end_)
      : first_chunk(l.chunk(first)), last_chunk(l.chunk(end_ - 1)), end(end_) {}

  /// Indices of a level, all of them multiples of eight.
  SIGNALLLM_BOTH void range(const Layout& l, int level, int& from, int& to)
      const {
    if (level == 0) {
      from = (first_chunk > 0 ? first_chunk - 1 : 0) * l.window;
      to = (end + kGroup - 1) / kGroup * kGroup;
      return;
    }
    const int behind = (first_chunk >> level) - 1;
    from = behind > 0 ? behind * l.window : 0;
    to = static_cast<int>(nodes_seen(last_chunk, level, l.window).end);
  }
  SIGNALLLM_BOTH int levels() const {
    return ops::tree::levels_seen(last_chunk);
  }
  /// At least as many as any block of queries sees.
  static int most_groups(const Layout& l) {
    const int groups =
        l.levels * (3 * l.window / 2 + kBlock) + 2 * l.window + 2 * kBlock;
    return groups / kGroup;
  }
  SIGNALLLM_BOTH int groups(const Layout& l) const {
    int count = 0;
    for (int level = levels(); level >= 0; --level) {
      int from, to;
      range(l, level, from, to);
      count += (to - from) / kGroup;
    }
    return count;
  }
  SIGNALLLM_BOTH Group group(const Layout& l, int number) const {
    for (int level = levels(); level >= 0; --level) {
      int from, to;
      range(l, level, from, to);
      const int count = (to - from) / kGroup;
      if (number < count) {
        return group_at(l, level, from + number * kGroup);
      }
      number -= count;
    }
    return no_group();
  }
};

/// Blocks of the nodes of all levels above 0, each for some of the queries that
/// see it, and where they put their gradients: of level j `parts[j]` times
/// `rows[j]` rows from `first_row[j]` on, which are added up in that order.
struct Parts {
  int queries = 0; // of a part
  int blocks = 0, total_rows = 0;
  int parts[kMaxLevels + 1] = {}, rows[kMaxLevels + 1] = {},
                         first_row[kMaxLevels + 1] = {};
};

inline Parts make_parts(const Layout& l) {
  Parts p;
  // Level 1 has one part, which the sum of all levels then takes the place of.
  const int crossing = l.window % kBlock == 0 || kBlock % l.window == 0 ? 0 : 1;
  const int groups = (kBlock + l.window - 1) / l.window + crossing;
  // Queries begin at a multiple of 64.
  const int before = l.window % kBlock == 0 ? 0 : kBlock;
  const int twice = 2 * groups * l.window + before;
  p.queries = twice <= 1024 ? 1024 : (twice + kBlock - 1) / kBlock * kBlock;
  for (int level = l.levels; level >= 1; --level) {
    const long long most =
        ((static_cast<long long>(groups) * l.window) << level) + before;
    const long long seeing = most < l.length ? most : l.length;
    p.parts[level] = static_cast<int>((seeing + p.queries - 1) / p.queries);
    p.rows[level] = (l.seen(level) + kBlock - 1) / kBlock * kBlock;
    p.first_row[level] = p.total_rows;
    p.total_rows += p.parts[level] * p.rows[level];
    p.blocks += p.parts[level] * (p.rows[level] / kBlock);
  }
  return p;
}

/// One of them.
struct NodeBlock {
  int level, first, part;
};

SIGNALLLM_BOTH inline NodeBlock
node_block(const Layout& l, const Parts& p, int number) {
  for (int level = l.levels; level >= 1; --level) {
    const int blocks = p.rows[level] / kBlock;
    if (number < blocks * p.parts[level]) {
      return {level, number % blocks * kBlock, number / blocks};
    }
    number -= blocks * p.parts[level];
  }
  return {0, 0, 0};
}

/// Queries `[from, to)` that see some of the 64 keys from `first` on, from a
/// multiple of 64 on; `part` of them, or all.
SIGNALLLM_BOTH inline void seeing(
    const Layout& l,
    int level,
    int first,
    int part,
    int part_queries,
    int& from,
    int& to) {
  const int most = level == 0 ? l.length : l.seen(level);
  const int end = first + kBlock < most ? first + kBlock : most;
  const auto last = group_at(l, level, (end - 1) / kGroup * kGroup);
  const long long behind =
      (static_cast<long long>(last.last_chunk) + 1) * l.window;
  to = behind < l.length ? static_cast<int>(behind) : l.length;
  from = level == 0
      ? first
      : group_at(l, level, first).first_chunk * l.window / kBlock * kBlock;
  if (part >= 0) {
    from += part * part_queries;
    to = to < from + part_queries ? to : from + part_queries;
  }
}

} // namespace signalllm::cuda::tree
