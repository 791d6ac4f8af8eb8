#pragma once

#include "ops/wavedec.h"

#pragma GCC visibility push(default) // the plug-in and the tests use it

/// What the kernels of `waverec` and of its backward operators share.
namespace signalllm::ops {

struct WaverecPlan {
  Signal signal; // of the output
  Mode mode = Mode::reflect;
  int64_t taps = 0;
  /// Lengths of the signal (first) and of the details of levels 1..n.
  std::vector<int64_t> lengths;
  /// Length of coeffs[0].
  int64_t approximation = 0;

  int64_t levels() const {
    return static_cast<int64_t>(lengths.size()) - 1;
  }
  /// Values that level l >= 1 synthesises; one more than `lengths[l - 1]`
  /// where the approximation's last value is dropped.
  int64_t synthesised(int64_t level) const {
    return synthesis_length(mode, lengths[level], taps);
  }
};

/// Checks every argument of `waverec`.
WaverecPlan plan_waverec(
    std::string_view op,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

/// The same from the output's gradient and the coefficients' lengths.
WaverecPlan plan_waverec_backward(
    std::string_view op,
    const at::Tensor& grad,
    at::IntArrayRef lengths,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

/// Checks every argument of the operators that give the filters' gradients.
WaverecPlan plan_waverec_backward_filters(
    std::string_view op,
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

namespace detail {

/// signalllm::waverec_backward_input: the exact transpose of `waverec` onto
/// coefficients of the given lengths.
std::vector<at::Tensor> waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    c10::SymIntArrayRef lengths,
    std::string_view mode,
    int64_t dim);

/// signalllm::waverec_backward_filters.
std::tuple<at::Tensor, at::Tensor> waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

/// signalllm::waverec_backward: both at once, (coeffs, rec_lo, rec_hi), for
/// devices that share work between them.
std::tuple<std::vector<at::Tensor>, at::Tensor, at::Tensor> waverec_backward(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

} // namespace detail

/// Plain, differentiable ATen, any device.
namespace composite {

at::Tensor waverec(
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);
std::vector<at::Tensor> waverec_backward_input(
    const at::Tensor& grad,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    at::IntArrayRef lengths,
    std::string_view mode,
    int64_t dim);
std::tuple<at::Tensor, at::Tensor> waverec_backward_filters(
    const at::Tensor& grad,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    std::string_view mode,
    int64_t dim);

} // namespace composite
} // namespace signalllm::ops

#pragma GCC visibility pop
