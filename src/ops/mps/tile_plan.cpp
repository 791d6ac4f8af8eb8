#include "ops/mps/tile_plan.h"

#include <algorithm>

namespace signalllm::mps {

int Tiles::rows(int level) const {
  int rows = 0;
  for (int which = 0; which < 4; ++which) {
    rows = std::max(rows, runs[which * (kBankLevels + 1) + level].size());
  }
  return rows;
}

namespace {

/// Values of threadgroup memory that the kernels have.
int memory_of(Direction direction) {
  return direction == Direction::both ? 8192 : 4096;
}

int floor_half(int a) {
  return a >= 0 ? a / 2 : -((1 - a) / 2);
}

/// The rows of one level that a tile needs, while they are collected.
class Cover {
 public:
  explicit Cover(int length) : length_(length) {}

  void add(int begin, int end) {
    begin = std::max(begin, 0);
    end = std::min(end, length_);
    if (begin < end) {
      ranges_[count_++] = {begin, end};
    }
  }
  /// The union as two runs; where there are more the smallest gaps are filled.
  Runs runs() {
    std::sort(ranges_.begin(), ranges_.begin() + count_);
    int last = 0; // of what is joined
    for (int i = 1; i < count_; ++i) {
      if (ranges_[i].first <= ranges_[last].second) {
        ranges_[last].second =
            std::max(ranges_[last].second, ranges_[i].second);
      } else {
        ranges_[++last] = ranges_[i];
      }
    }
    int joined = count_ == 0 ? 0 : last + 1;
    for (; joined > 2; --joined) {
      int best = 1;
      for (int i = 2; i < joined; ++i) {
        best = gap(i) < gap(best) ? i : best;
      }
      ranges_[best - 1].second = ranges_[best].second;
      std::copy(
          ranges_.begin() + best + 1,
          ranges_.begin() + joined,
          ranges_.begin() + best);
    }
    Runs out;
    if (joined > 0) {
      out.begin = ranges_[0].first;
      out.end = ranges_[0].second;
    }
    if (joined > 1) {
      out.more_begin = ranges_[1].first;
      out.more_end = ranges_[1].second;
    }
    return out;
  }

 private:
  int gap(int i) const {
    return ranges_[i].first - ranges_[i - 1].second;
  }

  int length_;
  int count_ = 0;
  std::array<std::pair<int, int>, 16> ranges_;
};

/// One tile's rows of every level.
class Needs {
 public:
  Needs(const Bank& bank, int tile) : b_(bank), tile_(tile) {}

  /// True if the tile has rows next to an end, so that its neighbours' are not
  /// the same ones shifted.
  bool at_end() const {
    return at_end_;
  }

  /// From the coarsest level down; the signal is read where it lies.
  void analysis(std::array<Runs, kBankLevels + 1>& runs) {
    runs[0] = {};
    runs[b_.levels] = own(b_.levels);
    for (int l = b_.levels - 1; l >= 0; --l) {
      Cover cover(b_.length[l]);
      const auto mine = own(l);
      cover.add(mine.begin, mine.end);
      for_each(runs[l + 1], [&](int begin, int end) {
        extended(
            2 * begin + b_.offset - b_.taps + 1,
            2 * (end - 1) + b_.offset + 1,
            b_.length[l],
            cover);
      });
      if (l > 0) {
        runs[l] = cover.runs();
      }
    }
  }

  /// From the signal up; `owned` adds the rows that are the tile's own.
  void synthesis(std::array<Runs, kBankLevels + 1>& runs, bool owned) {
    runs[0] = own(0);
    for (int l = 1; l <= b_.levels; ++l) {
      const int n = b_.length[l - 1], count = b_.length[l];
      Cover cover(count);
      if (owned) {
        const auto mine = own(l);
        cover.add(mine.begin, mine.end);
      }
      for_each(runs[l - 1], [&](int begin, int end) {
        const auto [first, last] = coefficients(begin, end);
        at_end_ |= first < 0 || last > count;
        cover.add(first, last);
        if (b_.border != Border::zero) {
          folded(begin <= b_.taps, end > n - 1 - b_.taps, n, count, cover);
        }
      });
      runs[l] = cover.runs();
    }
  }

 private:
  template <class F>
  static void for_each(const Runs& runs, const F& f) {
    if (runs.begin < runs.end) {
      f(runs.begin, runs.end);
    }
    if (runs.more_begin < runs.more_end) {
      f(runs.more_begin, runs.more_end);
    }
  }

  Runs own(int l) {
    const int n = b_.length[l];
    const int begin = tile_ * b_.unit[l], end = begin + b_.unit[l];
    at_end_ |= end > n;
    const bool last = tile_ == b_.tiles - 1;
    return {std::min(begin, n), last ? n : std::min(end, n), 0, 0};
  }

  bool periodized() const {
    return b_.border == Border::periodization ||
        b_.border == Border::periodization_zero;
  }
  /// Whether values beyond one end come from the other.
  bool wraps() const {
    return b_.border == Border::periodic || periodized();
  }

  /// The rows behind ext(x)[begin..end).
  void extended(int begin, int end, int n, Cover& cover) {
    cover.add(begin, end);
    const int before = std::max(-begin, 0), after = std::max(end - n, 0);
    if (before == 0 && after == 0) {
      return;
    }
    at_end_ = true;
    if (b_.border == Border::zero) {
      return;
    }
    if (before >= n - 1 || after >= n - 1) {
      cover.add(0, n);
      return;
    }
    if (before > 0) {
      wraps() ? cover.add(n - before, n) : cover.add(0, before + 1);
    }
    if (after > 0) {
      wraps() ? cover.add(0, after) : cover.add(n - 1 - after, n);
    }
    if (periodized()) {
      cover.add(n - 1, n);
    }
  }

  /// Coefficients that rows [begin, end) of the full synthesis are made of.
  std::pair<int, int> coefficients(int begin, int end) const {
    const int s = b_.taps - 1 - b_.offset;
    return {floor_half(begin + s - b_.taps + 2), floor_half(end - 1 + s) + 1};
  }

  /// Those of the rows beyond the ends that are folded onto rows next to them.
  void folded(bool left, bool right, int n, int count, Cover& cover) {
    if (!left && !right) {
      return;
    }
    at_end_ = true;
    if (n <= 2 * b_.taps + 2) {
      cover.add(0, count);
      return;
    }
    if (wraps() ? right : left) {
      cover.add(0, coefficients(-b_.taps, 0).second);
    }
    if (wraps() ? left || (periodized() && right) : right) {
      cover.add(coefficients(n, n + 1).first, count);
    }
  }

  const Bank& b_;
  int tile_;
  bool at_end_ = false;
};

/// Lists the rows of all tiles; false if those between the second and the last
/// two are not the same.
bool list(Direction direction, Bank& b) {
  const std::array<int, 4> tiles{
      0, std::min(1, b.tiles - 1), std::max(b.tiles - 2, 0), b.tiles - 1};
  const auto fill = [&](int tile, int which) {
    std::array<Runs, kBankLevels + 1> runs;
    Needs needs(b, tile);
    if (direction != Direction::synthesis) {
      needs.analysis(runs);
      for (int l = 0; which >= 0 && l <= b.levels; ++l) {
        b.analysis.at(which, l) = runs[l];
      }
    }
    if (direction != Direction::analysis) {
      needs.synthesis(runs, direction == Direction::both);
      for (int l = 0; which >= 0 && l <= b.levels; ++l) {
        b.synthesis.at(which, l) = runs[l];
      }
    }
    return !needs.at_end();
  };
  bool second_inside = true;
  for (int which = 0; which < 4; ++which) {
    const bool inside = fill(tiles[which], which);
    second_inside = which == 1 ? inside : second_inside;
  }
  // A tile between lies inside if those around it do.
  return b.tiles < 5 || (second_inside && fill(b.tiles - 3, -1));
}

/// Places the inner levels in threadgroup memory; the rows that it takes.
int place(Direction direction, Bank& b) {
  int used = 0;
  if (direction == Direction::both) {
    for (int l = 1; l < b.levels; ++l) {
      b.analysis.place[l] = used;
      used += b.analysis.rows(l);
    }
  }
  auto& tiles = direction == Direction::analysis ? b.analysis : b.synthesis;
  // A level and the next are there at a time.
  std::array<int, 2> most{};
  for (int l = 1; l < b.levels; ++l) {
    most[l % 2] = std::max(most[l % 2], tiles.rows(l));
  }
  for (int l = 1; l < b.levels; ++l) {
    tiles.place[l] = used + (l % 2 == 1 ? 0 : most[1]);
  }
  return used + most[0] + most[1];
}

/// Rows that all tiles compute, and how many there are.
std::pair<double, double> work(Direction direction, const Bank& b) {
  const auto& tiles =
      direction == Direction::analysis ? b.analysis : b.synthesis;
  double done = 0, rows = 0;
  const int shift = direction == Direction::analysis ? 0 : 1;
  for (int l = 1; l <= b.levels; ++l) {
    done += static_cast<double>(b.tiles) * tiles.rows(l - shift);
    rows += b.length[l - shift];
  }
  return {done, rows};
}

/// The best tiles for `b.width`; false if none fits.
bool cut_rows(Direction direction, Bank& b) {
  constexpr double small = 1.25; // times the work that has to be done
  constexpr int busy = 1024; // values that keep a group's threads busy
  const int memory = memory_of(direction) / b.width;
  Bank best;
  best.tiles = 0;
  for (int coarsest = 1;; coarsest += std::max(coarsest / 4, 1)) {
    const int tile = coarsest << b.levels;
    b.tiles = (b.length[0] + tile - 1) / tile;
    for (int l = 0; l <= b.levels; ++l) {
      b.unit[l] = tile >> l;
    }
    const bool equal = list(direction, b);
    if (equal && place(direction, b) > memory) {
      break;
    }
    if (equal) {
      best = b;
      const auto [done, rows] = work(direction, b);
      if (done <= small * rows && done / b.tiles * b.width >= busy) {
        break;
      }
    }
    if (tile >= b.length[0]) {
      break;
    }
  }
  if (best.tiles > 0) {
    b = best;
  }
  return best.tiles > 0;
}

} // namespace

bool cut(Direction direction, const std::vector<int64_t>& lengths, Bank& bank) {
  constexpr double wasteful = 2;
  bank.levels = static_cast<int32_t>(lengths.size()) - 1;
  std::copy(lengths.begin(), lengths.end(), bank.length.begin());
  // With few channels neighbouring values are rows.
  bank.rows_first = bank.inner < 8;
  int width = 1;
  while (width < 32 &&
         width < (bank.rows_first ? std::min(bank.columns, 8) : bank.inner)) {
    width *= 2;
  }
  const int narrowest = std::min(width, bank.rows_first ? 1 : 4);
  Bank best;
  double least = 0;
  for (; width >= narrowest; width /= 2) {
    Bank b = bank;
    b.width = width;
    if (!cut_rows(direction, b)) {
      continue;
    }
    const auto [done, rows] = work(direction, b);
    if (best.tiles == 0 || done / rows < least) {
      best = b;
      least = done / rows;
    }
    if (least <= wasteful) {
      break;
    }
  }
  if (best.tiles > 0) {
    bank = best;
  }
  return best.tiles > 0;
}

} // namespace signalllm::mps
