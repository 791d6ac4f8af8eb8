#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace signalllm::functional {

/// `causal_wavedec` of a signal that arrives in pieces of any lengths: what
/// `next` returned, put together along `dim`, is the transform of the pieces
/// put together, up to the rounding of another order of additions.
///
/// ```
/// CausalWavedecStream stream(lo, 3);
/// while (source.read(piece)) {
///   auto coeffs = stream.next(piece);     // [a_3, d_3, d_2, d_1]
/// }
/// ```
///
/// It remembers the last `(taps - 1) 2^j` values of level j's input, in the
/// dtype of accumulation, so a step costs `taps level` multiply-adds a value
/// whatever came before. No gradient flows through what it remembers. A copy
/// goes on from the same state on its own.
class SIGNALLLM_API CausalWavedecStream {
 public:
  /// `lo` is `[taps]` or `[channels, taps]`, `level` at least 0.
  CausalWavedecStream(at::Tensor lo, int64_t level, int64_t dim = -2);

  /// `[a_J, d_J, ..., d_1]` of the next piece, each of the piece's shape. All
  /// pieces have the first one's shape but for `dim`, its dtype and device.
  std::vector<at::Tensor> next(const at::Tensor& piece);

  /// Back to the start of a signal: zeros before it.
  void reset();

  /// Level j's past, 0-based; empty before the first piece.
  const std::vector<at::Tensor>& history() const {
    return history_;
  }

 private:
  at::Tensor lo_;
  int64_t level_, dim_;
  std::vector<at::Tensor> history_;
};

} // namespace signalllm::functional
