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

/// "5.1 ms/step, 41.2 GFLOP/s", with "12% MFU" where the peak is known.
std::string format_speed(const training::Speed& speed);

/// One line that is drawn over on a terminal, a line every ten seconds
/// elsewhere.
class ProgressLine {
 public:
  ProgressLine();

  /// `share` of the work is done; -1 where nobody knows, which draws no bar.
  void show(double share, const std::string& line, bool last);
  /// A line of its own, above the bar.
  void note(const std::string& text);
  /// Leaves the bar where it is.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool drawn_ = false;
  Clock::time_point shown_;
};

/// Shows how a training goes.
class Progress {
 public:
  /// `bytes_per_token` turns the loss into bits per byte.
  Progress(int64_t first_step, int64_t steps, double bytes_per_token);

  void update(const training::StepReport& report, const training::Speed& speed);
  void note(const std::string& text) {
    line_.note(text);
  }
  void finish() {
    line_.finish();
  }

 private:
  using Clock = std::chrono::steady_clock;

  int64_t first_step_;
  int64_t steps_;
  double bytes_per_token_;
  ProgressLine line_;
  Clock::time_point start_;
};

/// Shows how far the reading of a text is.
class ByteProgress {
 public:
  /// `total` is 0 where nobody knows.
  ByteProgress(std::string doing, int64_t total);

  void update(int64_t done);
  void finish(int64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  void show(int64_t done, bool last);

  std::string doing_;
  int64_t total_;
  ProgressLine line_;
  Clock::time_point start_, shown_;
};

} // namespace signalllm::app
