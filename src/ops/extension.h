#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#pragma GCC visibility push(default) // the plug-in and the tests use it

namespace signalllm::ops {

/// How a signal goes on beyond its ends, in PyWavelets' words.
enum class Mode {
  zero,
  constant,
  symmetric,
  periodic,
  smooth,
  periodization,
  reflect,
  antisymmetric,
  antireflect,
};

/// The mode of that name; an error of `op` naming the nearest one otherwise.
Mode parse_mode(std::string_view op, std::string_view name);

/// One row of the extension matrix: x_ext[i] = sum_k weight[k] x[row[k]].
struct ExtensionRow {
  std::array<int64_t, 3> row{};
  std::array<double, 3> weight{};
  int count = 0;

  void add(int64_t r, double w) {
    row[count] = r;
    weight[count++] = w;
  }
};

/// The extension of a signal of `length` values at any index, also far
/// outside. Every mode is a linear map with at most three terms a row.
ExtensionRow extension_row(Mode mode, int64_t index, int64_t length);

/// Coefficients of one analysis level.
inline int64_t coefficient_length(Mode mode, int64_t length, int64_t taps) {
  return mode == Mode::periodization ? (length + 1) / 2
                                     : (length + taps - 1) / 2;
}

/// Values of one synthesis level.
inline int64_t synthesis_length(Mode mode, int64_t coefficients, int64_t taps) {
  return mode == Mode::periodization ? 2 * coefficients
                                     : 2 * coefficients - taps + 2;
}

/// Tap j of output o reads x_ext[2o + analysis_offset - j].
inline int64_t analysis_offset(Mode mode, int64_t taps) {
  return mode == Mode::periodization ? taps / 2 : 1;
}

/// Largest level with a coefficient free of boundary effects.
int64_t max_level(int64_t length, int64_t taps);

} // namespace signalllm::ops

#pragma GCC visibility pop
