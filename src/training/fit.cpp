#include <signalllm/training/fit.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace signalllm::training {
namespace {

using Clock = std::chrono::steady_clock;
using LogLine = nlohmann::ordered_json;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Six digits are enough for a log, and shorter to read.
double rounded(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.6g", value);
  return std::strtod(digits, nullptr);
}

class Log {
 public:
  explicit Log(const std::optional<RunFolder>& folder) {
    if (folder) {
      path_ = folder->file("log.jsonl");
      out_.open(path_, std::ios::app);
      TORCH_CHECK(out_, "fit: cannot write ", path_);
    }
  }
  void write(const LogLine& line) {
    if (out_.is_open()) {
      out_ << line.dump() << std::endl; // flushed: people watch it grow
      TORCH_CHECK(out_, "fit: cannot write ", path_, ": is the disk full?");
    }
  }

 private:
  std::string path_;
  std::ofstream out_;
};

bool due(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

} // namespace

FitResult fit(
    Trainer& trainer,
    const FitOptions& options,
    const FitCallbacks& callbacks) {
  const auto start = Clock::now();
  auto mark = start; // the end of the last report
  Log log(options.folder());
  FitResult result;

  const auto report = [&] {
    const auto now = trainer.report();
    const double elapsed = since(mark);
    const double speed = static_cast<double>(now.tokens) / elapsed;
    LogLine line{
        {"step", now.step},
        {"loss", rounded(now.loss)},
        {"gradient_norm", rounded(now.gradient_norm)},
        {"learning_rate", rounded(now.learning_rate)},
        {"tokens_per_second", std::round(speed)},
        {"seconds", std::round(since(start) * 100) / 100}};
    if (now.skipped > 0) {
      line["skipped"] = now.skipped;
    }
    log.write(line);
    if (callbacks.on_report) {
      callbacks.on_report(now, speed);
    }
    mark = Clock::now();
  };
  const auto validate = [&](int64_t step) {
    auto how = options.evaluate();
    how.stop(options.stop());
    result.validation =
        trainer.evaluate(*options.validation(), options.token_bytes(), how);
    log.write(
        {{"step", step},
         {"valid_loss", rounded(result.validation->loss())},
         {"valid_bits_per_byte", rounded(result.validation->bits_per_byte())}});
    if (callbacks.on_evaluation) {
      callbacks.on_evaluation(step, *result.validation);
    }
    mark = Clock::now();
  };
  const auto save = [&](int64_t step) {
    if (options.folder()) {
      options.folder()->save(trainer.checkpoint(), options.keep());
      if (callbacks.on_checkpoint) {
        callbacks.on_checkpoint(step);
      }
      mark = Clock::now();
    }
  };

  int64_t saved = -1;
  bool stopped = options.stop() && options.stop()();
  while (trainer.steps_done() < options.steps() && !stopped) {
    trainer.step();
    const auto step = trainer.steps_done();
    stopped = options.stop() && options.stop()();
    const bool last = step == options.steps();
    // Nothing is saved before its loss was seen to be finite.
    const bool checkpoint =
        last || stopped || due(step, options.checkpoint_every());
    if (checkpoint || due(step, options.report_every())) {
      report();
    }
    if (checkpoint) {
      save(step);
      saved = step;
    }
    if (options.validation() && !stopped &&
        (last || due(step, options.evaluate_every()))) {
      validate(step);
    }
  }
  if (saved < 0 && stopped) {
    save(trainer.steps_done());
  }
  result.finished = trainer.steps_done() >= options.steps();
  result.seconds = since(start);
  return result;
}

} // namespace signalllm::training
