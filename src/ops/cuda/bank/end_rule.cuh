#pragma once

#include "extension.cuh"

namespace signalllm::cuda {

/// A border rule that only looks at rows next to the same end, as numbers: with
/// i = -1, -2, ... counted from the first row, or as n - 1 - row from the last,
///   x_ext[i] = (p + q i) x[a + b i] + (s + t i) x[edge],
/// rows counted from that end too.
struct EndRule {
  int a = 0, b = 0, edge = 0;
  float p = 0, q = 0, s = 0, t = 0;

  SIGNALLLM_HD int row(int i) const {
    return a + b * i;
  }
  SIGNALLLM_HD float weight(int i) const {
    return p + q * static_cast<float>(i);
  }
  SIGNALLLM_HD float edge_weight(int i) const {
    return s + t * static_cast<float>(i);
  }
};

/// Not for rules that wrap around.
inline EndRule end_rule(Border border) {
  switch (border) {
    case Border::constant:
      return {0, 0, 0, 1, 0, 0, 0};
    case Border::symmetric:
      return {-1, -1, 0, 1, 0, 0, 0};
    case Border::smooth:
      return {0, 0, 1, 1, -1, 0, 1};
    case Border::reflect:
      return {0, -1, 0, 1, 0, 0, 0};
    case Border::antisymmetric:
      return {-1, -1, 0, -1, 0, 0, 0};
    case Border::antireflect:
      return {0, -1, 0, -1, 0, 2, 0};
    default:
      return {};
  }
}

} // namespace signalllm::cuda
