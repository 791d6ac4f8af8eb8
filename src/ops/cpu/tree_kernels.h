#pragma once

#include <cstdint>

/// Attention of some queries over rows of plain memory, forward and backward:
/// the text (tree_kernels_impl.h) is compiled for several instruction sets.
namespace signalllm::ops::cpu {

/// Keys and values that queries see, rows of `width` behind one another.
template <class A>
struct TreeRange {
  const A* keys = nullptr;
  const A* values = nullptr;
  /// What the backward pass adds to.
  A* key_grads = nullptr;
  A* value_grads = nullptr;
  int64_t count = 0;
  /// Added to the logits, in units of ln 2.
  A bias = 0;
};

/// Neighbouring queries that see the same ranges, but for the last range, of
/// which query i sees `count - queries + i + 1` rows.
template <class A>
struct TreeBlock {
  static constexpr int64_t kMaxQueries = 64;

  const A* query = nullptr;
  int64_t queries = 0, width = 0;
  A scale = 1;
  const TreeRange<A>* ranges = nullptr;
  int64_t range_count = 0;
  A* output = nullptr; // read by the backward pass
  A* logsumexp = nullptr; // likewise
  const A* grad = nullptr;
  A* query_grad = nullptr;
  /// `tree_scratch(width)` values, aligned to 64 bytes.
  A* scratch = nullptr;
};

/// Queries and gradients turned, two blocks of scores, four values a query.
inline int64_t tree_scratch(int64_t width) {
  return 64 * (3 * ((width + 15) / 16 * 16) + 2 * 64 + 4);
}

template <class A>
struct TreeKernels {
  void (*forward)(const TreeBlock<A>&);
  void (*backward)(const TreeBlock<A>&);
};

struct TreeKernelSet {
  TreeKernels<float> f32;
  TreeKernels<double> f64;
};

const TreeKernelSet& tree_kernel_set_baseline();
const TreeKernelSet& tree_kernel_set_avx2();
const TreeKernelSet& tree_kernel_set_avx512();

/// The kernels for this machine, chosen as those of the banks are.
const TreeKernelSet& tree_kernel_set();

template <class A>
const TreeKernels<A>& tree_kernels();
template <>
inline const TreeKernels<float>& tree_kernels<float>() {
  return tree_kernel_set().f32;
}
template <>
inline const TreeKernels<double>& tree_kernels<double>() {
  return tree_kernel_set().f64;
}

} // namespace signalllm::ops::cpu
