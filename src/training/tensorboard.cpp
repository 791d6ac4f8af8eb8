// Events are protocol buffers, written by hand here: of
// tensorboard/compat/proto/event.proto and summary.proto only
//   Event { double wall_time = 1; int64 step = 2; string file_version = 3;
//           Summary summary = 5; SessionLog session_log = 7; }
//   Summary { repeated Value value = 1; }
//   Value { string tag = 1; float simple_value = 2; }
//   SessionLog { SessionStatus status = 1; }  where START = 1
// A field is its number and kind in a varint, then its value.

#include "training/tensorboard.h"

#include "training/durable_file.h"

#include <c10/util/Exception.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace signalllm::training {
namespace {

enum Kind { varint = 0, eight_bytes = 1, counted = 2, four_bytes = 5 };

void put_varint(std::string& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    to += static_cast<char>(value | 0x80);
  }
  to += static_cast<char>(value);
}

template <typename Unsigned>
void put_fixed(std::string& to, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) { // little end first
    to += static_cast<char>(value >> (8 * i));
  }
}

void put_key(std::string& to, int field, Kind kind) {
  put_varint(to, static_cast<uint64_t>(field) << 3 | kind);
}

void put_counted(std::string& to, int field, std::string_view value) {
  put_key(to, field, counted);
  put_varint(to, value.size());
  to += value;
}

template <typename Unsigned, typename Real>
Unsigned bits(Real value) {
  static_assert(sizeof(Unsigned) == sizeof(Real));
  Unsigned as_bits;
  std::memcpy(&as_bits, &value, sizeof value);
  return as_bits;
}

double now() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// An event with time and step, to which its content is still to be added.
std::string event(int64_t step) {
  std::string event;
  put_key(event, 1, eight_bytes);
  put_fixed(event, bits<uint64_t>(now()));
  if (step != 0) {
    put_key(event, 2, varint);
    put_varint(event, static_cast<uint64_t>(step));
  }
  return event;
}

std::string host() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "host";
}

/// A checksum next to data that holds checksums would be weak, hence the mask.
uint32_t masked(std::string_view data) {
  const auto crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

} // namespace

std::string tfrecord(std::string_view data) {
  std::string record;
  put_fixed(record, static_cast<uint64_t>(data.size()));
  put_fixed(record, masked(record));
  record += data;
  put_fixed(record, masked(data));
  return record;
}

EventFile::EventFile(std::string folder, int64_t step)
    : folder_(std::move(folder)), step_(step) {}

void EventFile::open() {
  char time[40];
  std::snprintf(time, sizeof time, "%.6f", now());
  path_ = c10::str(
      folder_, "/events.out.tfevents.", time, ".", host(), ".", ::getpid());
  out_.open(path_, std::ios::binary);
  auto version = event(0);
  put_counted(version, 3, "brain.Event:2");
  write(version);
  restart(step_);
}

void EventFile::restart(int64_t step) {
  step_ = step;
  if (!out_.is_open()) {
    return;
  }
  std::string start;
  put_key(start, 1, varint);
  put_varint(start, 1);
  // TensorBoard drops what has the step of this event, or a later one.
  auto restarted = event(step + 1);
  put_counted(restarted, 7, start);
  write(restarted);
}

void EventFile::scalar(int64_t step, const std::string& tag, double value) {
  if (!out_.is_open()) {
    open();
  }
  std::string point;
  put_counted(point, 1, tag);
  put_key(point, 2, four_bytes);
  put_fixed(point, bits<uint32_t>(static_cast<float>(value)));
  std::string summary;
  put_counted(summary, 1, point);
  auto with_point = event(step);
  put_counted(with_point, 5, summary);
  write(with_point);
}

void EventFile::report(const StepReport& report, const Speed& speed) {
  scalar(report.step, "loss/train", report.loss);
  scalar(report.step, "gradient_norm", report.gradient_norm);
  scalar(report.step, "learning_rate", report.learning_rate);
  scalar(report.step, "tokens_per_second", speed.tokens_per_second);
  scalar(report.step, "step_ms", speed.step_milliseconds);
  if (speed.flops > 0) {
    scalar(report.step, "tflops", speed.flops * 1e-12);
  }
  if (speed.utilisation > 0) {
    scalar(report.step, "mfu", speed.utilisation);
  }
}

void EventFile::evaluation(int64_t step, const Evaluation& evaluation) {
  scalar(step, "loss/held-out", evaluation.loss());
  scalar(step, "bits_per_byte/held-out", evaluation.bits_per_byte());
}

void EventFile::write(const std::string& event) {
  out_ << tfrecord(event) << std::flush; // people watch it grow
  TORCH_CHECK(out_, "TensorBoard: cannot write ", path_, ": is the disk full?");
}

} // namespace signalllm::training
