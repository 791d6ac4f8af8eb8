#pragma once

#include <c10/core/DeviceType.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>

namespace c10d {
class Backend;
class Store;
} // namespace c10d

#pragma GCC visibility push(default) // the plug-in uses it

namespace signalllm::training {

/// What sends tensors of one kind of device between processes.
using MakeBackend = c10::intrusive_ptr<c10d::Backend> (*)(
    const c10::intrusive_ptr<c10d::Store>& store,
    int rank,
    int count,
    std::chrono::milliseconds timeout);

/// Says how a kind of device communicates (through NCCL). The CUDA plug-in
/// does so when it is loaded.
void register_backend(c10::DeviceType type, MakeBackend make);

} // namespace signalllm::training

#pragma GCC visibility pop
