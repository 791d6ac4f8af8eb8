#pragma once

#include "app/settings.h"

#include <signalllm/training/distributed.h>

#include <functional>
#include <memory>

namespace signalllm::app {

/// The processes that this one was started with (by torchrun), once all have
/// met; null where it is alone.
std::shared_ptr<training::Processes> meet(const Settings& settings);

/// The settings that `prepare` makes in the first process, for all of them. It
/// is the one that looks into folders.
Settings settle(
    const std::shared_ptr<training::Processes>& processes,
    const std::function<Settings()>& prepare);

} // namespace signalllm::app
