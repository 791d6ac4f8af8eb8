#pragma once

namespace signalllm::cuda {

/// One-sided dilated banks. The transposes are the same with time running
/// backwards: row n stands for row length - 1 - n.
enum class CausalKind {
  analysis,
  analysis_transposed,
  filter,
  filter_transposed
};

constexpr bool is_filter(CausalKind kind) {
  return kind == CausalKind::filter || kind == CausalKind::filter_transposed;
}
constexpr bool is_transposed(CausalKind kind) {
  return kind == CausalKind::analysis_transposed ||
      kind == CausalKind::filter_transposed;
}

} // namespace signalllm::cuda
