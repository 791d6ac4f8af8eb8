#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace signalllm::ops {

/// An operator by its name, as a function of this type: what the C++ functions
/// call, so that autograd, devices and tracers see them too.
template <class Function>
c10::TypedOperatorHandle<Function> find_operator(
    const char* name,
    const char* overload = "") {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(name, overload)
      .typed<Function>();
}

} // namespace signalllm::ops
