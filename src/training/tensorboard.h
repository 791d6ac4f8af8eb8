#pragma once

#include <signalllm/training/fit.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace signalllm::training {

/// A record of a TFRecord file: the length as 8 bytes, its masked checksum, the
/// data, its masked checksum.
SIGNALLLM_API std::string tfrecord(std::string_view data);

/// An event file that TensorBoard reads,
/// `events.out.tfevents.SECONDS.MICROSECONDS.HOST.PROCESS`, written from the
/// first scalar on. The names sort by time, which is the order that the files
/// of a folder are read in.
class SIGNALLLM_API EventFile {
 public:
  /// `step` is the step that the run goes on from, see `restart`.
  EventFile(std::string folder, int64_t step);

  /// What was written before, in this file and in older ones, about steps
  /// after `step` counts no more: the run goes on from there.
  void restart(int64_t step);
  void scalar(int64_t step, const std::string& tag, double value);

  /// loss/train, gradient_norm, learning_rate, tokens_per_second, step_ms, and
  /// tflops and mfu where they are known.
  void report(const StepReport& report, const Speed& speed);
  /// loss/held-out and bits_per_byte/held-out.
  void evaluation(int64_t step, const Evaluation& evaluation);

 private:
  void open();
  void write(const std::string& event);

  std::string folder_, path_;
  int64_t step_;
  std::ofstream out_;
};

} // namespace signalllm::training
