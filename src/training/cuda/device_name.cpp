// Part of the plug-in: what a GPU is called.

#include "training/peak.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>

namespace signalllm::training {
namespace {

[[maybe_unused]] const bool names_registered = [] {
  register_device_names(c10::kCUDA, [](c10::Device device) {
    const auto index =
        device.has_index() ? device.index() : c10::cuda::current_device();
    return std::string(at::cuda::getDeviceProperties(index)->name);
  });
  return true;
}();

} // namespace
} // namespace signalllm::training
