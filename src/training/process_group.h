#pragma once

#include <signalllm/training/distributed.h>

#include "training/watch.h"

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace signalllm::training {

/// torch's side of `Processes`.
struct Processes::Parts {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  std::chrono::seconds timeout;
  std::unique_ptr<Watch> watch;
};

/// Where the processes meet.
c10::intrusive_ptr<c10d::Store> meeting_store(
    const ProcessPlace& place,
    std::chrono::seconds timeout);

/// A group that knows how to send what is on the CPU.
c10::intrusive_ptr<c10d::ProcessGroup> cpu_group(
    const c10::intrusive_ptr<c10d::Store>& store,
    const ProcessPlace& place,
    std::chrono::seconds timeout);

/// `call`, whose errors of communication become one that a user can act on.
template <typename Call>
auto among(Processes& processes, Call&& call) {
  const auto lost = [&](const char* detail) {
    TORCH_CHECK_WITH(
        DistBackendError,
        false,
        processes.parts().watch->message(),
        " [",
        std::string(detail).substr(0, std::strcspn(detail, "\n")),
        "]");
  };
  try {
    return std::forward<Call>(call)();
  } catch (const c10::DistError& error) {
    lost(error.what_without_backtrace());
    throw;
  } catch (const std::exception& error) {
    // Gloo's own exceptions are no part of torch's interface; their texts
    // begin with the place in its sources.
    if (std::strstr(error.what(), "gloo/") != nullptr) {
      lost(error.what());
    }
    throw;
  }
}

} // namespace signalllm::training
