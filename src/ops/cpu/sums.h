#pragma once

#include "ops/cpu/jobs.h"

#include <algorithm>
#include <vector>

namespace signalllm::ops::cpu {

/// Sums over a whole signal that do not depend on the number of threads: the
/// work is cut into a number of parts that only its size decides, each part
/// adds up in A, and the parts are added in order, in double.
///
/// `rows` sums, each shared (kSumLanes partial sums) or one per channel.
template <class A>
class PartialSums {
 public:
  PartialSums(int64_t parts, int64_t rows, int64_t channels, bool per_channel)
      : rows_(rows), width_(per_channel ? channels : kSumLanes),
        per_channel_(per_channel), values_(parts * rows * width_, A(0)) {}

  A* part(int64_t i) {
    return values_.data() + i * rows_ * width_;
  }
  /// As the kernels want it: 0 for shared sums.
  int64_t stride() const {
    return per_channel_ ? width_ : 0;
  }
  int64_t width() const {
    return width_;
  }

  /// `[rows]`, or `[rows][channels]`.
  std::vector<double> total() const {
    std::vector<double> sum(rows_ * (per_channel_ ? width_ : 1), 0.0);
    const A* value = values_.data();
    for (const A* end = value + values_.size(); value < end;) {
      double* to = sum.data();
      for (int64_t r = 0; r < rows_; ++r, to += per_channel_ ? width_ : 1) {
        for (int64_t i = 0; i < width_; ++i, ++value) {
          to[per_channel_ ? i : 0] += *value;
        }
      }
    }
    return sum;
  }

 private:
  int64_t rows_, width_;
  bool per_channel_;
  std::vector<A> values_;
};

/// Parts for that many units of work.
inline int64_t sum_parts(int64_t units, bool per_channel) {
  return std::max<int64_t>(1, std::min<int64_t>(units, per_channel ? 8 : 32));
}

} // namespace signalllm::ops::cpu
