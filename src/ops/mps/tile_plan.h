#pragma once

#include "ops/extension.h"

#include <array>
#include <cstdint>
#include <vector>

/// How a transform is cut into the tiles that Metal's threadgroups work on.
/// The structs are those of bank.metal, member by member.
namespace signalllm::mps {

constexpr int kBankLevels = 10;

/// The modes of ops::Mode in their order, then the transpose of
/// periodization: the repeated last value of an odd signal counts as zero.
enum class Border : int32_t {
  zero,
  constant,
  symmetric,
  periodic,
  smooth,
  periodization,
  reflect,
  antisymmetric,
  antireflect,
  periodization_zero,
};

/// Rows [begin, end) and [more_begin, more_end) of one level.
struct Runs {
  int32_t begin = 0, end = 0, more_begin = 0, more_end = 0;

  int size() const {
    return end - begin + more_end - more_begin;
  }
};

struct Tiles {
  std::array<Runs, 4 * (kBankLevels + 1)> runs;
  std::array<int32_t, kBankLevels + 1> place{};

  Runs& at(int which, int level) {
    return runs[which * (kBankLevels + 1) + level];
  }
  /// Most rows of a level that a tile has.
  int rows(int level) const;
};

struct Strides {
  int32_t batch = 0, row = 0, inner = 0;
};

/// The parameters of a launch.
struct Bank {
  int32_t levels = 0;
  int32_t tiles = 0;
  int32_t columns = 0;
  int32_t inner = 0;
  int32_t width = 1;
  int32_t rows_first = 0;
  int32_t taps = 2;
  int32_t offset = 1;
  Border border = Border::zero;
  int32_t filters = 0;
  int32_t reconstruction = 0;
  int32_t wide_signal = 0;
  int32_t wide_top = 0;
  int32_t wide_out = 0;
  int32_t top_rows = 0;
  int32_t wanted = 0;
  int32_t parts = 1;
  int32_t first_share = 0;
  std::array<int32_t, kBankLevels + 1> length{};
  std::array<int32_t, kBankLevels + 1> unit{};
  Tiles analysis;
  Tiles synthesis;
  std::array<Strides, kBankLevels + 1> strides;
  Strides top;
};
// More cannot be set as bytes.
static_assert(sizeof(Bank) <= 4096);

enum Wanted : int32_t { kDetails = 1, kApproximation = 2, kSignal = 4 };

enum class Direction { analysis, synthesis, both };

/// Cuts the transform of `bank` (columns, inner, taps, offset and border are
/// set) with `lengths` rows of its levels into tiles that fit into the
/// kernel's threadgroup memory; false if they do not. One level always fits.
bool cut(Direction direction, const std::vector<int64_t>& lengths, Bank& bank);

} // namespace signalllm::mps
