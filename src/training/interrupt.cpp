#include <signalllm/training/interrupt.h>

#include <csignal>

#include <signal.h>

namespace signalllm::training {
namespace {

// The only kind of variable that a signal handler may touch.
volatile std::sig_atomic_t received = 0;

extern "C" void remember(int signal) {
  received = signal;
  if (signal != SIGHUP) {
    std::signal(signal, SIG_DFL);
  }
}

bool ignored(int signal) {
  struct sigaction now {};
  return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

} // namespace

InterruptGuard::InterruptGuard() : hangs_up_(!ignored(SIGHUP)) {
  received = 0;
  if (hangs_up_) {
    std::signal(SIGHUP, remember);
  }
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (hangs_up_) {
    std::signal(SIGHUP, SIG_DFL);
  }
}

int interrupt_signal() {
  return received;
}

} // namespace signalllm::training
