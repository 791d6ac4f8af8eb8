#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>

namespace signalllm {

/// A few threads a core only make it slow; thousands never get ready.
inline int64_t most_threads() {
  return 4 *
      static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
}

} // namespace signalllm
