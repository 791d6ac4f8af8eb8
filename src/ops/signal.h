#pragma once

#include "ops/extension.h"

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#pragma GCC visibility push(default) // the plug-in and the tests use it

namespace signalllm::ops {

/// Where a transform along `dim` finds its values: `input` seen as
/// `[batch, length, inner]`, the inner axes ending in the channels.
struct Signal {
  int64_t dim = 0; // counted from the front
  int64_t batch = 1;
  int64_t length = 1;
  int64_t inner = 1;
  int64_t channels = 1; // size of the last axis, 1 where that is `dim`
  std::vector<int64_t> sizes;

  /// The input's sizes with another length.
  std::vector<int64_t> sizes_for(int64_t new_length) const;
};

/// Checks dtype, rank, dim and length of an input; messages begin with `op`.
Signal check_signal(std::string_view op, const at::Tensor& input, int64_t dim);

/// What a Meta kernel checks of an input and of the tensors beside it, without
/// a look at sizes, which may be symbolic: dtype, rank, dim, device. Such a
/// kernel also gets calls that mix the device meta with another. Returns `dim`
/// counted from the front.
int64_t check_symbolic(
    std::string_view op,
    const at::Tensor& input,
    int64_t dim,
    std::initializer_list<std::pair<std::string_view, at::Tensor>> beside);

/// A canonical view or copy `[batch, length, inner]`.
at::Tensor canonical(const at::Tensor& input, const Signal& signal);

/// The value in `type` as a contiguous tensor with memory of its own: what an
/// operator may return.
at::Tensor own(const at::Tensor& value, at::ScalarType type);

/// Checks that a filter is `[taps]` or `[channels, taps]`, of the input's
/// dtype (or float32 beside half precision) and on its device.
void check_filter(
    std::string_view op,
    std::string_view argument,
    const at::Tensor& filter,
    const at::Tensor& input,
    const Signal& signal);

/// The two filters of a bank: equal shapes, `even` taps where asked.
void check_filters(
    std::string_view op,
    std::string_view lo_name,
    const at::Tensor& lo,
    std::string_view hi_name,
    const at::Tensor& hi,
    const at::Tensor& input,
    const Signal& signal,
    bool even);

/// Checks that `level` is 0 or more, or -1.
void check_level(std::string_view op, int64_t level);

/// Lengths of all levels of an analysis, the input's first. `level` -1 means
/// the largest useful one. Raises where PyWavelets raises.
std::vector<int64_t> analysis_lengths(
    std::string_view op,
    Mode mode,
    int64_t length,
    int64_t taps,
    int64_t level);

/// The dtype sums are kept in: float32 for half precision.
inline at::ScalarType accumulate_type(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16 ? at::kFloat : type;
}

/// A filter as `[1 or inner, taps]` in `type`.
at::Tensor expand_filter(
    const at::Tensor& filter,
    const Signal& signal,
    at::ScalarType type);

/// The inverse's gradient: `[1 or inner, taps]` back to the filter's shape.
at::Tensor reduce_filter(
    const at::Tensor& gradient,
    const at::Tensor& filter,
    const Signal& signal);

} // namespace signalllm::ops

#pragma GCC visibility pop
