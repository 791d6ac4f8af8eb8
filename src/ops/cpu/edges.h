#pragma once

#include "ops/extension.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace signalllm::ops::cpu {

/// The extension rows of one level on both sides of the signal, computed once
/// a call, terms without weight left out.
class Overhang {
 public:
  Overhang() = default;
  /// Rows `-before .. -1` and `length .. length + after - 1`.
  Overhang(Mode mode, int64_t length, int64_t before, int64_t after)
      : length_(length), before_(std::max<int64_t>(before, 0)) {
    after = std::max<int64_t>(after, 0);
    rows_.reserve(before_ + after);
    for (int64_t i = -before_; i < 0; ++i) {
      add(mode, i);
    }
    for (int64_t i = length; i < length + after; ++i) {
      add(mode, i);
    }
  }

  const ExtensionRow& row(int64_t i) const {
    return rows_[i < 0 ? i + before_ : i - length_ + before_];
  }
  int64_t first() const {
    return -before_;
  }
  int64_t last() const {
    return length_ + static_cast<int64_t>(rows_.size()) - before_;
  }

 private:
  void add(Mode mode, int64_t i) {
    const auto full = extension_row(mode, i, length_);
    auto& out = rows_.emplace_back();
    for (int k = 0; k < full.count; ++k) {
      if (full.weight[k] != 0) {
        out.add(full.row[k], full.weight[k]);
      }
    }
  }

  int64_t length_ = 0, before_ = 0;
  std::vector<ExtensionRow> rows_;
};

} // namespace signalllm::ops::cpu
