#pragma once

#include "app/command.h"

namespace signalllm::app {

int run_bench_recall(const Words& words);

} // namespace signalllm::app
