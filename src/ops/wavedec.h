#pragma once

#include "ops/signal.h"

#include <ATen/core/Tensor.h>

#include <string_view>
#include <utility>
#include <vector>

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `wavedec` and of its backward operators share.
namespace signalllm::ops {

struct WavedecPlan {
  Signal signal;
  Mode mode = Mode::reflect;
  int64_t taps = 0;
  std::vector<int64_t> lengths; // of the levels, the signal's first

  int64_t levels() const {
    return static_cast<int64_t>(lengths.size()) - 1;
  }
};

/// Checks every argument of `wavedec`.
WavedecPlan plan_wavedec(
    std::string_view op,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim);

/// The same from the coefficients' side: `coeffs` are `[cA_n, ..., cD_1]` of a
/// signal of `length` values. Checks their number and shapes.
WavedecPlan plan_coefficients(
    std::string_view op,
    at::TensorList coeffs,
    const at::Tensor& lo,
    const at::Tensor& hi,
    int64_t length,
    std::string_view mode,
    int64_t dim);

/// Checks every argument of the operators that give the filters' gradients.
WavedecPlan plan_wavedec_backward_filters(
    std::string_view op,
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim);

namespace detail {

/// signalllm::wavedec_backward_input: the exact transpose of `wavedec`.
at::Tensor wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    c10::SymInt length,
    std::string_view mode,
    int64_t dim);

/// signalllm::wavedec_backward_filters.
std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim);

/// signalllm::wavedec_backward: both at once, (input, dec_lo, dec_hi), for
/// devices that share work between them.
std::tuple<at::Tensor, at::Tensor, at::Tensor> wavedec_backward(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

std::vector<at::Tensor> wavedec(
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t level,
    std::string_view mode,
    int64_t dim);
at::Tensor wavedec_backward_input(
    at::TensorList grads,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    int64_t length,
    std::string_view mode,
    int64_t dim);
std::tuple<at::Tensor, at::Tensor> wavedec_backward_filters(
    at::TensorList grads,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    std::string_view mode,
    int64_t dim);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
