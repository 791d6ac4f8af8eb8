#pragma once

namespace signalllm::cuda {

/// Dilated banks without decimation. The causal ones look back from a row, what
/// is before the first is zero; their transposes are the same with time running
/// backwards: row n stands for row length - 1 - n. `swt` and `iswt` go around.
enum class CausalKind {
  analysis,
  analysis_transposed,
  filter,
  filter_transposed,
  swt,
  iswt
};

constexpr bool is_filter(CausalKind kind) {
  return kind == CausalKind::filter || kind == CausalKind::filter_transposed;
}
constexpr bool is_transposed(CausalKind kind) {
  return kind == CausalKind::analysis_transposed ||
      kind == CausalKind::filter_transposed;
}
constexpr bool is_circular(CausalKind kind) {
  return kind == CausalKind::swt || kind == CausalKind::iswt;
}
constexpr bool has_high(CausalKind kind) {
  return is_filter(kind) || is_circular(kind);
}
/// Whether the steps go from the longest dilation to the shortest.
constexpr bool descends(CausalKind kind) {
  return is_transposed(kind) || kind == CausalKind::iswt;
}

} // namespace signalllm::cuda
