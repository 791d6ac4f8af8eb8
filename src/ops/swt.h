#pragma once

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <string_view>
#include <tuple>
#include <vector>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `swt`, of `iswt` and of their gradients share.
///
/// The two are each other's transposes: `swt` with (lo, hi) is the transpose
/// of `iswt` with the reversed filters doubled, level by level, since that
/// halves. So the only backward operator is the one for the filters.
namespace signalllm::ops {

struct SwtPlan {
  Signal signal;
  int64_t taps = 0;
  int64_t levels = 0;
};

/// Checks every argument of `swt`.
SwtPlan plan_swt(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim);

/// Checks every argument of `iswt`, whose filters have the names given.
SwtPlan plan_iswt(
    std::string_view op,
    at::TensorList coeffs,
    std::string_view lo_name,
    const at::Tensor& lo,
    std::string_view hi_name,
    const at::Tensor& hi,
    int64_t dim);

/// Checks every argument of `swt_backward_filters`.
SwtPlan plan_swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim);

namespace detail {

/// signalllm::swt_backward_filters: gradients of sum_i grads_i * swt(input)_i
/// with respect to the filters.
std::tuple<at::Tensor, at::Tensor> swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

std::vector<at::Tensor> swt(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    int64_t dim);
at::Tensor iswt(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    int64_t dim);
std::tuple<at::Tensor, at::Tensor> swt_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t dim);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
