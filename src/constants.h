#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace signalllm {

/// `values` as a tensor `[n]` of a dtype on a device, not to be written to.
/// Off the CPU it is made once for each device and dtype and never freed, so
/// that no step copies it there again and none is taken from under a recorded
/// CUDA graph. A search over filters may ask for any number of them: beyond a
/// few thousand they are made anew.
at::Tensor constant(
    const std::vector<double>& values,
    const at::TensorOptions& options);

} // namespace signalllm
