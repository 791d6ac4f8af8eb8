#pragma once

#include <signalllm/training/safetensors.h>

#include <c10/core/Device.h>

namespace signalllm::training {

/// The states of the default generators of the CPU and of `device`.
TensorMap random_state(at::Device device);

/// Puts back what `random_state` gave; a generator that is not in `state`
/// (saved on another kind of device) stays as it is.
void restore_random_state(const TensorMap& state, at::Device device);

} // namespace signalllm::training
