#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <numeric>
#include <vector>

/// Tensors one behind the other in one of one dimension, each in the order of
/// a parameter's memory: kernels walk over that.
namespace signalllm::training {

/// The parameter's axes from the slowest to the fastest.
inline std::vector<int64_t> memory_order(const at::Tensor& parameter) {
  std::vector<int64_t> axes(static_cast<size_t>(parameter.dim()));
  std::iota(axes.begin(), axes.end(), int64_t{0});
  std::stable_sort(axes.begin(), axes.end(), [&](int64_t a, int64_t b) {
    return parameter.stride(a) > parameter.stride(b);
  });
  return axes;
}

/// `value`, of the parameter's shape, as one dimension.
inline at::Tensor in_order_of(
    const at::Tensor& value,
    const at::Tensor& parameter) {
  return parameter.is_contiguous()
      ? value.reshape({-1})
      : value.permute(memory_order(parameter)).reshape({-1});
}

/// The view of `flat` from `first` on with the parameter's shape and strides,
/// which must leave no gaps.
inline at::Tensor laid_out_like(
    const at::Tensor& flat,
    int64_t first,
    const at::Tensor& parameter) {
  return flat.as_strided(
      parameter.sizes(), parameter.strides(), flat.storage_offset() + first);
}

} // namespace signalllm::training
