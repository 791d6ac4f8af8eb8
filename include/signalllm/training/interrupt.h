#pragma once

#include <signalllm/export.h>

namespace signalllm::training {

/// While it lives, Ctrl-C (SIGINT), SIGTERM and a terminal that closes (SIGHUP)
/// set a flag that training looks at between steps, instead of ending the
/// program. The same signal again ends it at once, the usual way, but for
/// SIGHUP, which shell and kernel may both send. Where SIGHUP was ignored
/// before (nohup), it stays so.
class SIGNALLLM_API InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  bool hangs_up_;
};

/// The last signal that came since the guard was made, or 0.
SIGNALLLM_API int interrupt_signal();

} // namespace signalllm::training
