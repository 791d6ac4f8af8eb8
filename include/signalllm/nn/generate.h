#pragma once

#include <signalllm/export.h>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>

namespace signalllm {

/// How `SignalLLM::generate` draws tokens.
struct SIGNALLLM_API GenerateOptions {
  TORCH_ARG(int64_t, max_new_tokens) = 256;
  /// Divides the logits; 0 always takes the likeliest token.
  TORCH_ARG(double, temperature) = 1.0;
  /// Only the k likeliest tokens; 0 all.
  TORCH_ARG(int64_t, top_k) = 0;
  /// Only the likeliest tokens whose probabilities reach p together.
  TORCH_ARG(double, top_p) = 1.0;
  /// Seed of the draws; without one they follow the global CPU generator.
  TORCH_ARG(std::optional<uint64_t>, seed) = std::nullopt;
};

/// One token a row from `logits` `[B, V]`, `[B]` int64 on the logits' device.
///
/// Inverse of the cumulative distribution in float32, the uniform numbers from
/// a CPU generator: the same tokens on every device (up to rounding), without
/// `multinomial`, which has drawn impossible tokens on MPS.
SIGNALLLM_API at::Tensor sample(
    const at::Tensor& logits,
    const GenerateOptions& options,
    std::optional<at::Generator> generator = std::nullopt);

} // namespace signalllm
