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

/// The view of `flat` from `first` on with the parameter's shape.
inline at::Tensor laid_out_like(
    const at::Tensor& flat,
    int64_t first,
    const at::Tensor& parameter) {
  const auto part = flat.narrow(0, first, parameter.numel());
  if (parameter.is_contiguous()) {
    return part.view(parameter.sizes());
  }
  const auto axes = memory_order(parameter);
  std::vector<int64_t> sizes, back(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) {
    sizes.push_back(parameter.size(axes[i]));
    back[static_cast<size_t>(axes[i])] = static_cast<int64_t>(i);
  }
  return part.view(sizes).permute(back);
}

} // namespace signalllm::training
