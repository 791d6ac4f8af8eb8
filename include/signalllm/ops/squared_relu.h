#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

namespace signalllm::ops {

/// `y = max(x, 0)^2`, element by element, for any floating point tensor.
SIGNALLLM_API at::Tensor squared_relu(const at::Tensor& input);

} // namespace signalllm::ops
