#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

namespace signalllm::ops {

inline bool requires_grad(const at::Tensor& tensor) {
  return tensor.defined() && tensor.requires_grad();
}

inline bool requires_grad(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() && requires_grad(*tensor);
}

inline bool requires_grad(at::TensorList tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& t) {
    return requires_grad(t);
  });
}

/// True where a backward operator itself must be recorded (a gradient of a
/// gradient): it then runs as plain ATen, which autograd differentiates to any
/// order. Otherwise it goes straight to its kernel.
template <class... Tensors>
bool needs_graph(const Tensors&... tensors) {
  return at::GradMode::is_enabled() && (requires_grad(tensors) || ...);
}

inline bool has_tangent(const at::Tensor& tensor) {
  return tensor.defined() && tensor._fw_grad(/*level=*/0).defined();
}

inline bool has_tangent(at::TensorList tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& t) {
    return has_tangent(t);
  });
}

/// False where there is nothing for autograd to do: the operator then goes
/// straight to its kernel, which for small inputs saves most of the call.
template <class... Tensors>
bool differentiated(const Tensors&... tensors) {
  return needs_graph(tensors...) || (has_tangent(tensors) || ...);
}

} // namespace signalllm::ops
