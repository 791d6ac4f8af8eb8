#include "tile_plan.h"

#include <algorithm>
#include <vector>

namespace signalllm::cuda {
namespace {

int floor_half(int a) {
  return a >= 0 ? a / 2 : -((1 - a) / 2);
}

int ceil_half(int a) {
  return floor_half(a + 1);
}

using Runs = std::vector<Rows>;

void add(Runs& runs, int begin, int end, int length) {
  begin = std::max(begin, 0);
  end = std::min(end, length);
  if (begin < end) {
    runs.push_back({begin, end});
  }
}

/// The union as at most two runs; where there are more, gaps are filled.
Need join(Runs runs) {
  std::sort(runs.begin(), runs.end(), [](const Rows& a, const Rows& b) {
    return a.begin < b.begin;
  });
  Runs out;
  for (const auto& r : runs) {
    if (!out.empty() && r.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, r.end);
    } else {
      out.push_back(r);
    }
  }
  while (out.size() > 2) {
    size_t best = 1;
    for (size_t i = 2; i < out.size(); ++i) {
      if (out[i].begin - out[i - 1].end < out[best].begin - out[best - 1].end) {
        best = i;
      }
    }
    out[best - 1].end = out[best].end;
    out.erase(out.begin() + best);
  }
  Need need;
  if (!out.empty()) {
    need.main = out[0];
  }
  if (out.size() > 1) {
    need.extra = out[1];
  }
  return need;
}

/// Adds the rows behind x_ext[begin..end).
void add_extended(Runs& runs, Border border, int begin, int end, int n) {
  add(runs, begin, end, n);
  const int before = std::max(-begin, 0), after = std::max(end - n, 0);
  if (border == Border::zero || (before == 0 && after == 0)) {
    return;
  }
  if (before >= n - 1 || after >= n - 1) {
    add(runs, 0, n, n);
    return;
  }
  if (before > 0) {
    wraps(border) ? add(runs, n - before, n, n) : add(runs, 0, before + 1, n);
  }
  if (after > 0) {
    wraps(border) ? add(runs, 0, after, n) : add(runs, n - 1 - after, n, n);
  }
  if (periodized(border)) {
    add(runs, n - 1, n, n);
  }
}

Rows analysis_inputs(const Bank& bank, const Rows& r) {
  return {
      2 * r.begin + bank.offset - bank.taps + 1,
      2 * (r.end - 1) + bank.offset + 1};
}

/// Coefficients that rows [begin, end) of the full synthesis are made of.
Rows synthesis_inputs(const Bank& bank, const Rows& r) {
  const int shift = bank.taps - 1 - bank.offset;
  return {
      ceil_half(r.begin + shift - bank.taps + 1),
      floor_half(r.end - 1 + shift) + 1};
}

/// One tile's rows, analysis: from the coarsest level down.
void needs_of_analysis(
    const Bank& bank,
    const TilePlan& plan,
    int tile,
    Need* need) {
  need[plan.levels] = {plan.own(tile, plan.levels), {}};
  for (int l = plan.levels - 1; l > 0; --l) {
    Runs runs;
    const auto own = plan.own(tile, l);
    add(runs, own.begin, own.end, plan.length[l]);
    for (const auto& r : {need[l + 1].main, need[l + 1].extra}) {
      if (r.size() > 0) {
        const auto in = analysis_inputs(bank, r);
        add_extended(runs, bank.border, in.begin, in.end, plan.length[l]);
      }
    }
    need[l] = join(runs);
  }
}

/// One tile's rows, synthesis: from the signal up.
void needs_of_synthesis(
    const Bank& bank,
    const TilePlan& plan,
    int tile,
    Need* need) {
  need[0] = {plan.own(tile, 0), {}};
  for (int l = 1; l <= plan.levels; ++l) {
    Runs runs;
    const int n = plan.length[l - 1], count = plan.length[l];
    for (const auto& r : {need[l - 1].main, need[l - 1].extra}) {
      if (r.size() == 0) {
        continue;
      }
      const auto in = synthesis_inputs(bank, r);
      add(runs, in.begin, in.end, count);
      if (bank.border == Border::zero) {
        continue;
      }
      // Rows beyond an end are folded back onto rows near an end.
      const bool left = r.begin<bank.taps, right = r.end> n - bank.taps;
      const auto before = synthesis_inputs(bank, {-bank.taps, 0});
      const auto after = synthesis_inputs(bank, {n, n + 1});
      if (n <= bank.taps + 1) {
        add(runs, 0, count, count);
      }
      if (wraps(bank.border) ? right : left) {
        add(runs, 0, before.end, count);
      }
      if (wraps(bank.border) ? left || periodized(bank.border) && right
                             : right) {
        add(runs, after.begin, count, count);
      }
    }
    need[l] = join(runs);
  }
}

/// Inner levels alternate between two buffers.
void count_rows(TilePlan& plan) {
  plan.rows[0] = plan.rows[1] = 0;
  for (int l = 1; l < plan.levels; ++l) {
    int& rows = plan.rows[l % 2];
    for (const auto& edge : plan.edge) {
      rows = std::max(rows, edge[l].size());
    }
    if (plan.tiles > 3) {
      rows = std::max(rows, plan.need(1, l).size());
    }
  }
}

bool fits(const TilePlan& plan, const TileLimits& limits) {
  return plan.rows[0] + plan.rows[1] <= limits.capacity;
}

template <class Needs>
void fill_edges(TilePlan& plan, const Needs& needs) {
  needs(0, plan.edge[0]);
  needs(std::max(plan.tiles - 2, 0), plan.edge[1]);
  needs(plan.tiles - 1, plan.edge[2]);
}

/// Analysis with tiles of `tile` coarsest coefficients; false where a tile
/// besides the first and the last two would touch a border.
bool cut_analysis(const Bank& bank, int tile, TilePlan& plan) {
  const int top = plan.levels;
  plan.tiles = (plan.length[top] + tile - 1) / tile;
  plan.before[top] = plan.after[top] = 0;
  for (int l = top; l >= 0; --l) {
    plan.unit[l] = tile << (top - l);
    if (l < top) {
      plan.before[l] = 2 * plan.before[l + 1] + bank.taps - 1 - bank.offset;
      plan.after[l] = 2 * plan.after[l + 1] + bank.offset - 1;
    }
  }
  for (int l = 0; plan.tiles > 3 && l <= top; ++l) {
    if (plan.unit[l] < plan.before[l] ||
        (plan.tiles - 2) * plan.unit[l] + plan.after[l] > plan.length[l]) {
      return false;
    }
  }
  fill_edges(
      plan, [&](int t, Need* need) { needs_of_analysis(bank, plan, t, need); });
  count_rows(plan);
  return true;
}

/// Synthesis with tiles of `tile` rows, a multiple of 2^levels.
bool cut_synthesis(const Bank& bank, int tile, TilePlan& plan) {
  plan.tiles = (plan.length[0] + tile - 1) / tile;
  plan.before[0] = plan.after[0] = 0;
  for (int l = 0; l <= plan.levels; ++l) {
    plan.unit[l] = tile >> l;
    if (l > 0) {
      const auto in =
          synthesis_inputs(bank, {-plan.before[l - 1], plan.after[l - 1]});
      plan.before[l] = -in.begin;
      plan.after[l] = in.end;
    }
    // Rows of a tile inside stay clear of the folded ones.
    const int zone = bank.border == Border::zero ? 0 : bank.taps + 1;
    if (plan.tiles > 3 &&
        (plan.unit[l] - plan.before[l] < zone ||
         (plan.tiles - 2) * plan.unit[l] + plan.after[l] >
             plan.length[l] - zone)) {
      return false;
    }
  }
  fill_edges(plan, [&](int t, Need* need) {
    needs_of_synthesis(bank, plan, t, need);
  });
  count_rows(plan);
  return true;
}

} // namespace

bool plan_analysis(
    const Bank& bank,
    const int* lengths,
    int levels,
    const TileLimits& limits,
    TilePlan& plan) {
  plan = {};
  plan.levels = levels;
  std::copy(lengths, lengths + levels + 1, plan.length);
  const int top = plan.length[levels];
  // Rows of level 1 that a tile computes twice.
  const int halo = (bank.taps - 2) * ((1 << (levels - 1)) - 1);
  int rows = limits.sweep;
  while (rows < 4 * halo && rows < limits.capacity) {
    rows += limits.sweep;
  }
  int tile = std::max((rows - halo) >> (levels - 1), 1);
  if (tile < top && rows < 2 * halo) {
    return false; // most of the work would be done twice
  }
  while (tile > 4 && (tile << (levels - 1)) > 2 * halo &&
         (top + tile - 1) / tile < limits.tiles) {
    tile = (tile + 1) / 2;
  }
  for (tile = std::min(tile, top); tile <= top; tile *= 2) {
    if (cut_analysis(bank, tile, plan)) {
      return fits(plan, limits);
    }
  }
  return cut_analysis(bank, top, plan) && fits(plan, limits);
}

bool plan_synthesis(
    const Bank& bank,
    const int* lengths,
    int levels,
    const TileLimits& limits,
    TilePlan& plan) {
  plan = {};
  plan.levels = levels;
  std::copy(lengths, lengths + levels + 1, plan.length);
  const int multiple = 1 << levels, n = plan.length[0];
  const int halo = (bank.taps / 2) * levels;
  int tile = 2 * limits.sweep;
  while (tile < 8 * halo && tile < limits.capacity) {
    tile += 2 * limits.sweep;
  }
  while (tile > 16 && tile > 4 * halo && (n + tile - 1) / tile < limits.tiles) {
    tile /= 2;
  }
  tile = (tile + multiple - 1) / multiple * multiple;
  for (;; tile *= 2) {
    if (cut_synthesis(bank, tile, plan)) {
      return fits(plan, limits);
    }
  }
}

} // namespace signalllm::cuda
