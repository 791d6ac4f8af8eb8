#pragma once

#include <signalllm/export.h>

#include <c10/core/Device.h>

#include <string>

#pragma GCC visibility push(default) // the plug-in and the program use it

namespace signalllm::training {

using NameDevice = std::string (*)(c10::Device device);

/// Says what the devices of a kind are called. The CUDA plug-in does so when it
/// is loaded.
void register_device_names(c10::DeviceType type, NameDevice name);

/// "NVIDIA H100 80GB HBM3"; "" where nobody knows.
std::string device_name(c10::Device device);

/// Operations a second that NVIDIA's data sheets give a GPU of this name:
/// float32 without tensor cores (torch's default), or bfloat16 with them,
/// without sparsity. 0 for a name that is not in the table.
double peak_flops(const std::string& device, bool bfloat16);

} // namespace signalllm::training

#pragma GCC visibility pop
