#include <signalllm/training/fit.h>

#include "training/divergence.h"
#include "training/patience.h"
#include "training/retreat.h"
#include "training/run_log.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

namespace signalllm::training {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool due(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

void check(const FitOptions& options) {
  TORCH_CHECK(
      options.patience() >= 0 && options.min_delta() >= 0,
      "fit: patience is ",
      options.patience(),
      " and min_delta ",
      options.min_delta(),
      "; both must be at least 0");
  TORCH_CHECK(
      options.patience() == 0 ||
          (options.validation() && options.evaluate_every() > 0),
      "fit: patience is ",
      options.patience(),
      ", but there is nothing to wait for: ",
      options.validation() ? "evaluate_every is 0"
                           : "there is no validation text");
}

Speed speed_of(
    const StepReport& report,
    double seconds,
    const FitOptions& options,
    int64_t devices) {
  Speed speed;
  speed.tokens_per_second = static_cast<double>(report.tokens) / seconds;
  speed.step_milliseconds =
      1e3 * seconds / static_cast<double>(std::max<int64_t>(report.steps, 1));
  speed.flops = speed.tokens_per_second * options.flops_per_token();
  if (options.peak_flops() > 0) {
    speed.utilisation =
        speed.flops / (options.peak_flops() * static_cast<double>(devices));
  }
  return speed;
}

} // namespace

FitResult fit(
    Trainer& trainer,
    const FitOptions& options,
    const FitCallbacks& callbacks) {
  check(options);
  const auto start = Clock::now();
  auto mark = start; // the end of the last report
  auto* processes = trainer.options().processes().get();
  const auto any = [&](bool mine) {
    return processes != nullptr ? processes->any(mine) : mine;
  };
  const auto together = [&](const std::function<void()>& work) {
    processes != nullptr ? processes->together(work) : work();
  };
  const bool first = processes == nullptr || processes->first();
  const auto folder = first ? options.folder() : std::nullopt;
  RunLog log(folder);
  Patience patience(options.patience(), options.min_delta());
  if (folder) {
    each_validation(folder->file("log.jsonl"), [&](int64_t step, double loss) {
      patience.add(step, loss);
    });
    patience.cut(trainer.steps_done());
  }
  FitResult result;
  const auto stop_asked = [&] {
    return any(options.stop() && options.stop()());
  };
  Retreat retreat(folder, options.keep());
  if (options.rollbacks() > 0 && first &&
      (!folder || folder->checkpoints().empty())) {
    retreat.keep_copy(trainer.checkpoint());
  }

  const auto report = [&](const StepReport& now) {
    const auto speed = speed_of(
        now,
        since(mark),
        options,
        processes != nullptr ? processes->count() : 1);
    LogLine line{
        {"step", now.step},
        {"loss", rounded(now.loss)},
        {"gradient_norm", rounded(now.gradient_norm)},
        {"learning_rate", rounded(now.learning_rate)},
        {"tokens_per_second", std::round(speed.tokens_per_second)},
        {"step_ms", rounded(speed.step_milliseconds)}};
    if (speed.flops > 0) {
      line["tflops"] = rounded(speed.flops * 1e-12);
    }
    if (speed.utilisation > 0) {
      line["mfu"] = rounded(speed.utilisation);
    }
    line["seconds"] = std::round(since(start) * 100) / 100;
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
    if (stop_asked()) {
      result.validation.reset(); // of a part of the text perhaps
      return;
    }
    const double loss = rounded(result.validation->loss());
    patience.add(step, loss);
    log.write(
        {{"step", step},
         {"valid_loss", loss},
         {"valid_bits_per_byte", rounded(result.validation->bits_per_byte())}});
    if (callbacks.on_evaluation) {
      callbacks.on_evaluation(step, *result.validation);
    }
    mark = Clock::now();
  };
  const auto save = [&](int64_t step) {
    together([&] {
      if (folder) {
        folder->save(
            trainer.checkpoint(), options.keep(), patience.best_step());
        retreat.drop_copy();
        if (callbacks.on_checkpoint) {
          callbacks.on_checkpoint(step);
        }
      } else if (first && options.rollbacks() > 0) {
        retreat.keep_copy(trainer.checkpoint());
      }
    });
    if (options.folder()) {
      mark = Clock::now();
    }
  };
  const auto go_back = [&](const StepReport& now) {
    const auto times = trainer.rollbacks();
    const auto tried = times == 0 ? std::string()
        : times == 1              ? ", after 1 roll-back"
                                  : c10::str(", after ", times, " roll-backs");
    Checkpoint good;
    together([&] {
      TORCH_CHECK(
          times < options.rollbacks(),
          now.trouble,
          tried,
          ": ",
          loss_advice(trainer.options()));
      if (first) {
        good = retreat.choose(trainer);
      }
    });
    trainer.roll_back(good);
    patience.cut(trainer.steps_done());
    const Rollback back{
        trainer.rollbacks(),
        now.trouble_step,
        trainer.steps_done(),
        now.trouble};
    together([&] {
      // First of all, so that it is said wherever the process is killed.
      log.write(
          {{"step", back.step},
           {"rollback", back.number},
           {"failed_step", back.failed_step},
           {"reason", back.reason}});
      retreat.settle(trainer, patience.best_step());
      log.cut(back.step);
    });
    if (callbacks.on_rollback) {
      callbacks.on_rollback(back);
    }
    mark = Clock::now();
  };

  int64_t saved = -1, judged = -1;
  // Reports the steps up to this one; false where they led back.
  const auto sound = [&](int64_t step) {
    if (step == judged) {
      return true;
    }
    const auto now = trainer.review();
    if (!now.trouble.empty()) {
      go_back(now);
      saved = trainer.steps_done();
      judged = -1;
      return false;
    }
    report(now);
    judged = step;
    return true;
  };
  bool stopped = stop_asked();
  if (const auto step = trainer.steps_done();
      any(folder && options.validation() && !stopped && step > 0 &&
          (step >= options.steps() || due(step, options.evaluate_every())) &&
          !log.has_validation(step))) {
    validate(step);
    stopped = stop_asked();
  }
  // What the first knows of the time before a resume, the others do not.
  const auto given_up = [&] {
    result.early_stop = patience.verdict();
    if (!any(first && result.early_stop)) {
      result.early_stop.reset();
    } else if (!result.early_stop) {
      result.early_stop.emplace();
    }
    return result.early_stop.has_value();
  };
  bool over = trainer.steps_done() < options.steps() && !stopped && given_up();
  while (trainer.steps_done() < options.steps() && !stopped && !over) {
    trainer.step();
    const auto step = trainer.steps_done();
    stopped = stop_asked();
    const bool last = step == options.steps();
    // Nothing is saved before its loss was seen to be finite.
    const bool checkpoint = last || stopped ||
        due(step, options.checkpoint_every()) ||
        (options.patience() > 0 && due(step, options.evaluate_every()));
    if ((checkpoint || due(step, options.report_every())) && !sound(step)) {
      continue;
    }
    if (checkpoint) {
      save(step);
      saved = step;
    }
    if (options.validation() && !stopped &&
        (last || due(step, options.evaluate_every()))) {
      validate(step);
      stopped = stop_asked();
      over = !stopped && !last && given_up();
      if (stopped && saved != step && sound(step)) {
        save(step); // where the validation is made up for
        saved = step;
      }
    }
  }
  if (saved < 0 && stopped) {
    save(trainer.steps_done());
  }
  result.finished = over || trainer.steps_done() >= options.steps();
  result.seconds = since(start);
  return result;
}

} // namespace signalllm::training
