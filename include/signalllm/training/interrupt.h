#pragma once

#include <signalllm/export.h>

namespace signalllm::training {

/// While it lives, Ctrl-C (SIGINT) and SIGTERM set a flag that training looks
/// at between steps, instead of ending the program. A second signal ends it at
/// once, the usual way.
class SIGNALLLM_API InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// The signal that came since the guard was made, or 0.
SIGNALLLM_API int interrupt_signal();

} // namespace signalllm::training
