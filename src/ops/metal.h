#pragma once

#include <ATen/core/Tensor.h>

#pragma GCC visibility push(default) // ops/mps is linked to the tests on Linux

namespace signalllm::ops {

/// Whether our operators may have kernels where `x` is: everywhere but on MPS
/// without Metal (`SIGNALLLM_METAL=0`, or the text does not compile). There a
/// twin computes as its standard module, which launches less than operators
/// composed one by one.
bool has_kernels(const at::Tensor& x);

/// Whether `x` is on a GPU, where one operator of ours takes the place of
/// several launches.
inline bool on_gpu(const at::Tensor& x) {
  return x.is_cuda() || x.is_mps();
}

/// For ops/mps, which only libraries for macOS have: `runs` says whether its
/// kernels do.
void set_metal(bool (*runs)());

} // namespace signalllm::ops

#pragma GCC visibility pop
