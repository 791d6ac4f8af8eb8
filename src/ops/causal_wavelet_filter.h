#pragma once

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <tuple>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `causal_wavelet_filter` and of its backward operators
/// share.
namespace signalllm::ops {

/// Checks every argument of `causal_wavelet_filter`.
Signal check_causal_wavelet_filter(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

/// The same for gradients of the filters, which take the output's.
Signal check_causal_wavelet_filter_backward(
    std::string_view op,
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

namespace detail {

/// signalllm::causal_wavelet_filter_backward_input.
at::Tensor causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

/// signalllm::causal_wavelet_filter_backward_filters: (lo, hi, weight).
std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

/// signalllm::causal_wavelet_filter_backward: (input, lo, hi, weight).
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor causal_wavelet_filter(
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);
at::Tensor causal_wavelet_filter_backward_input(
    const at::Tensor& grad,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);
std::tuple<at::Tensor, at::Tensor, at::Tensor>
causal_wavelet_filter_backward_filters(
    const at::Tensor& grad,
    const at::Tensor& input,
    const at::Tensor& lo,
    const at::Tensor& hi,
    const at::Tensor& weight,
    int64_t dim);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
