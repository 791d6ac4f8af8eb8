#include "app/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace signalllm::app {
namespace {

std::size_t terminal_width() {
  struct winsize size {};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
      ? size.ws_col
      : 80;
}

std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(share * width);
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

/// Unlike fmt::print it throws nothing where the terminal is gone: a training
/// that nobody looks at any more must still be saved.
void put(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

} // namespace

std::string format_duration(double seconds) {
  const auto total = std::llround(std::max(seconds, 0.0));
  const auto hours = total / 3600, minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

std::string format_count(int64_t count) {
  auto digits = std::to_string(count);
  for (auto place = static_cast<int64_t>(digits.size()) - 3; place > 0;
       place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

std::string format_speed(const training::Speed& speed) {
  const auto text = fmt::format("{:.3g} ms/step", speed.step_milliseconds);
  if (speed.flops == 0) {
    return text;
  }
  const auto rate = speed.flops >= 1e12
      ? fmt::format("{:.3g} TFLOP/s", speed.flops * 1e-12)
      : fmt::format("{:.3g} GFLOP/s", speed.flops * 1e-9);
  return speed.utilisation == 0
      ? fmt::format("{}, {}", text, rate)
      : fmt::format("{}, {}, {:.1f}% MFU", text, rate, 100 * speed.utilisation);
}

ProgressLine::ProgressLine()
    : terminal_(::isatty(STDOUT_FILENO) == 1),
      shown_(Clock::now() - std::chrono::seconds(8)) {}

void ProgressLine::show(double share, const std::string& line, bool last) {
  if (!terminal_) {
    const auto now = Clock::now();
    if (last || now - shown_ >= std::chrono::seconds(10)) {
      put(line + "\n");
      shown_ = now;
    }
    return;
  }
  const auto width = terminal_width();
  const auto room = width > line.size() + 4 ? width - line.size() - 4 : 0;
  const auto shown = share >= 0 && room >= 5
      ? bar(share, std::min<std::size_t>(room, 24)) + " " + line
      : line.substr(0, width - 1);
  put("\r" + shown + "\x1b[K");
  drawn_ = true;
}

void ProgressLine::note(const std::string& text) {
  put((terminal_ && drawn_ ? "\r\x1b[K" : "") + text + "\n");
  drawn_ = false;
}

void ProgressLine::finish() {
  if (terminal_ && drawn_) {
    put("\n");
  }
  drawn_ = false;
}

Progress::Progress(int64_t first_step, int64_t steps, double bytes_per_token)
    : first_step_(first_step), steps_(steps), bytes_per_token_(bytes_per_token),
      start_(Clock::now()) {}

void Progress::update(
    const training::StepReport& report,
    const training::Speed& speed) {
  const auto done = report.step - first_step_;
  const double elapsed =
      std::chrono::duration<double>(Clock::now() - start_).count();
  const double left = done > 0 ? elapsed / static_cast<double>(done) *
          static_cast<double>(steps_ - report.step)
                               : 0;
  line_.show(
      static_cast<double>(report.step) / static_cast<double>(steps_),
      fmt::format(
          "step {}/{}  loss {:.3f}  {:.3f} bits/byte  {} tokens/s, {}  {} left",
          report.step,
          steps_,
          report.loss,
          report.loss / std::numbers::ln2 / bytes_per_token_,
          format_count(std::llround(speed.tokens_per_second)),
          format_speed(speed),
          format_duration(left)),
      report.step == steps_);
}

ByteProgress::ByteProgress(std::string doing, int64_t total)
    : doing_(std::move(doing)), total_(total), start_(Clock::now()),
      shown_(start_) {}

void ByteProgress::update(int64_t done) {
  const auto now = Clock::now();
  if (now - shown_ >= std::chrono::milliseconds(100)) {
    shown_ = now;
    show(done, false);
  }
}

void ByteProgress::finish(int64_t done) {
  show(done, true);
  line_.finish();
}

void ByteProgress::show(int64_t done, bool last) {
  const double seconds =
      std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = static_cast<double>(done) / std::max(seconds, 1e-3);
  const double megabyte = 1e6;
  auto line = fmt::format(
      "{}  {:.1f} MB  {:.1f} MB/s",
      doing_,
      static_cast<double>(done) / megabyte,
      rate / megabyte);
  if (total_ > 0 && !last) {
    line += fmt::format(
        "  {} left",
        format_duration(
            static_cast<double>(total_ - done) / std::max(rate, 1.0)));
  }
  const double share = total_ > 0
      ? std::min(static_cast<double>(done) / static_cast<double>(total_), 1.0)
      : -1.0;
  line_.show(share, line, last);
}

} // namespace signalllm::app
