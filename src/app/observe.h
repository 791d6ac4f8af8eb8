#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// What a call runs, seen through torch's operators.
namespace signalllm::app {

/// Operators that do the work of `call` on this thread, as a GPU would launch
/// them: those that dispatch no others, but for views, new memory and numbers
/// read back. An operator of ours that has a Metal kernel counts as one,
/// however the CPU composes it.
int64_t count_operators(const std::function<void()>& call);

/// The tensors that every call of the operator `name` inside `call` was given.
std::vector<std::vector<at::Tensor>> inputs_of(
    const std::string& name,
    const std::function<void()>& call);

} // namespace signalllm::app
