#pragma once

#include <signalllm/training/fit.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace signalllm::app {

/// "2:05", "1:02:03".
std::string format_duration(double seconds);
/// "12,345".
std::string format_count(int64_t count);

/// Shows how a training goes: one line that is drawn over on a terminal, a
/// line every ten seconds elsewhere.
class Progress {
 public:
  /// `bytes_per_token` turns the loss into bits per byte.
  Progress(int64_t first_step, int64_t steps, double bytes_per_token);

  void update(const training::StepReport& report, double tokens_per_second);
  /// A line of its own, above the bar.
  void note(const std::string& text);
  /// Leaves the bar where it is.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  int64_t first_step_;
  int64_t steps_;
  double bytes_per_token_;
  bool terminal_;
  bool drawn_ = false;
  std::string line_;
  Clock::time_point start_;
  Clock::time_point shown_;
};

} // namespace signalllm::app
