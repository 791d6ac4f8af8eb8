#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace signalllm::data {

/// `inputs` and `targets`, `[rows, context]` int64 on the CPU; the target of a
/// token is the one behind it.
struct SIGNALLLM_API Batch {
  at::Tensor inputs;
  at::Tensor targets;
};

/// Windows at random places of a token stream. Row number `i` of the endless
/// stream of rows is a function of the seed and of `i` alone, so a position in
/// the stream is one number, and several processes can share one stream by
/// taking different rows of it.
class SIGNALLLM_API RandomWindows {
 public:
  /// `tokens` is a 1-D integer tensor on the CPU (a view of a mapped file is
  /// fine). Throws where it is not longer than `context`.
  RandomWindows(at::Tensor tokens, int64_t context, uint64_t seed);

  Batch rows(int64_t first, int64_t count) const;

  uint64_t seed() const {
    return seed_;
  }

 private:
  at::Tensor tokens_;
  int64_t context_;
  uint64_t seed_;
};

/// All windows of a token stream that do not overlap, in order; a last one
/// that would be shorter than `context` is left out.
class SIGNALLLM_API ConsecutiveWindows {
 public:
  ConsecutiveWindows(at::Tensor tokens, int64_t context);

  int64_t size() const;
  Batch rows(int64_t first, int64_t count) const;

 private:
  at::Tensor tokens_;
  int64_t context_;
};

} // namespace signalllm::data
