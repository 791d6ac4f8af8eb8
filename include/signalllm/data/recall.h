#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <cstdint>

namespace signalllm::data {

/// Sequences that ask for what they said before.
struct SIGNALLLM_API RecallBatch {
  /// `[rows, length]` int64.
  at::Tensor inputs;
  /// `[rows, queries]` int64: places where an answer is asked for, and it.
  at::Tensor positions;
  at::Tensor answers;
};

/// Options for `associative_recall`.
struct SIGNALLLM_API AssociativeRecallOptions {
  AssociativeRecallOptions() = default;

  /// N, even.
  TORCH_ARG(int64_t, length) = 512;
  /// K, with 4 K <= N.
  TORCH_ARG(int64_t, pairs) = 64;
  /// V, even, with K < V / 2.
  TORCH_ARG(int64_t, vocab_size) = 8192;
  /// Exponent a of how the queries fall off with the distance.
  TORCH_ARG(double, power) = 0.01;
  /// Between the queries: random tokens instead of 0.
  TORCH_ARG(bool, random_filler) = false;
};

/// Multi-query associative recall (Arora et al., "Zoology", 2023).
///
/// `k_1 v_1 ... k_K v_K`, then every key once more: of the (N - 2 K) / 2
/// places at even distances, without replacement, number g = 1, 2, ... with a
/// probability in proportion to `g^(a - 1)`. At a key asked for the answer is
/// its value. Keys are distinct tokens of 1 to V / 2 - 1, values distinct
/// tokens of V / 2 to V - 1. Drawn on `device` from its global generator.
SIGNALLLM_API RecallBatch associative_recall(
    int64_t rows,
    const AssociativeRecallOptions& options,
    at::Device device = at::kCPU);

/// The copying task (Hochreiter and Schmidhuber, 1997; Bai et al., 2018), of
/// `length` >= 22 tokens in 0 to 9: ten digits of 1 to 8, zeros, eleven nines;
/// the answers at the last ten are the digits.
SIGNALLLM_API RecallBatch
copying(int64_t rows, int64_t length, at::Device device = at::kCPU);

} // namespace signalllm::data
