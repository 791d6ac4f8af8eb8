#pragma once

#include <ATen/core/Tensor.h>

#pragma GCC visibility push(default) // the tests use it

namespace signalllm {

/// `max(x, 0)^2 W^T` for x `[..., K]` and W `[N, K]` of one type. Of the two
/// wide tensors in between only x is kept for backward, which squares again.
at::Tensor squared_relu_linear(
    const at::Tensor& input,
    const at::Tensor& weight);

} // namespace signalllm

#pragma GCC visibility pop
