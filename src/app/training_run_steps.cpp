// From the first step of a run to its last.

#include "app/training_run.h"

#include "training/peak.h"
#include "training/tensorboard.h"

#include <signalllm/nn/flops.h>
#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace signalllm::app {

void TrainingRun::resume(training::Trainer& trainer) {
  std::optional<training::Checkpoint> checkpoint;
  together([&] {
    if (first() && !folder_.checkpoints().empty()) {
      std::vector<std::string> problems;
      checkpoint = folder_.load_latest(&problems);
      report_damage(problems);
    }
  });
  const bool there = checkpoint.has_value();
  if (processes_ ? processes_->any(there) : there) {
    trainer.restore(there ? *checkpoint : training::Checkpoint());
  }
  together([&] {
    const auto done = trainer.steps_done();
    TORCH_CHECK(
        done <= settings_.steps,
        "the run has done ",
        done,
        " steps already; --steps is ",
        settings_.steps);
    if (!first()) {
      return;
    }
    fmt::print(
        "{}\n",
        there ? fmt::format("resumed after step {}", done)
              : "no checkpoint yet: from the beginning");
    folder_.truncate_log(done);
    if (done < settings_.steps) {
      write_settings();
    }
  });
}

int TrainingRun::signal() const {
  const int mine = training::interrupt_signal();
  return processes_ ? static_cast<int>(-processes_->least(-mine)) : mine;
}

std::string TrainingRun::describe(const training::EarlyStop& stop) const {
  return fmt::format(
      "ended at step {} (--patience {}): {}",
      stop.step,
      settings_.patience,
      stop.best_step < 0
          ? fmt::format("{} held-out losses were not finite", stop.waited)
          : fmt::format(
                "{} held-out losses since step {} were not below its {:.4f} "
                "nats",
                stop.waited,
                stop.best_step,
                stop.best_loss));
}

void TrainingRun::describe_reduction(const training::Trainer& trainer) const {
  if (const auto reduction = trainer.reduction(); reduction && first()) {
    fmt::print(
        "gradients: {:.2f} MB a step in {} buckets; their exchange takes "
        "{:.1f} "
        "ms, {:.0f}% of it while backward computes ({:.1f} ms)\n",
        static_cast<double>(reduction->bytes) * 1e-6,
        reduction->buckets,
        reduction->seconds * 1e3,
        100 * reduction->hidden_seconds / std::max(reduction->seconds, 1e-9),
        reduction->backward_seconds * 1e3);
  }
}

training::FitCallbacks TrainingRun::talk(
    Progress& progress,
    training::EventFile* events) const {
  training::FitCallbacks callbacks;
  callbacks.on_report = [&progress,
                         events](const auto& report, const auto& speed) {
    progress.update(report, speed);
    if (events != nullptr) {
      events->report(report, speed);
    }
  };
  callbacks.on_evaluation = [&progress,
                             events](int64_t step, const auto& evaluation) {
    if (events != nullptr) {
      events->evaluation(step, evaluation);
    }
    progress.note(fmt::format(
        "step {}  held out: {:.4f} nats, {:.3f} bits/byte",
        step,
        evaluation.loss(),
        evaluation.bits_per_byte()));
  };
  callbacks.on_rollback =
      [this, &progress, events](const training::Rollback& back) {
        if (events != nullptr) {
          events->restart(back.step);
        }
        progress.note(fmt::format(
            "{}: back to step {}, on with other batches (roll-back {} of {})",
            back.reason,
            back.step,
            back.number,
            settings_.rollbacks));
      };
  return callbacks;
}

double TrainingRun::peak_flops() const {
  return settings_.peak_tflops > 0
      ? settings_.peak_tflops * 1e12
      : training::peak_flops(
            training::device_name(device_), settings_.precision == "bfloat16");
}

int TrainingRun::train() {
  const training::InterruptGuard guard;
  training::Trainer trainer(
      model_,
      data::RandomWindows(train_tokens_, settings_.context, settings_.seed),
      trainer_options(settings_).processes(processes_));
  if (!settings_.resume.empty()) {
    resume(trainer);
  }
  const auto done_before = trainer.steps_done();
  auto options =
      training::FitOptions()
          .steps(settings_.steps)
          .report_every(settings_.report_every)
          .evaluate_every(settings_.evaluate_every)
          .checkpoint_every(settings_.checkpoint_every)
          .keep(settings_.keep)
          .patience(settings_.patience)
          .min_delta(settings_.min_delta)
          .rollbacks(settings_.rollbacks)
          .flops_per_token(training_flops(*model_, settings_.context))
          .peak_flops(peak_flops())
          .folder(folder_)
          .stop([this] {
            text_.release(); // looked at after every step
            return training::interrupt_signal() != 0;
          });
  if (valid_tokens_.numel() > 0) {
    options
        .validation(data::ConsecutiveWindows(valid_tokens_, settings_.context))
        .token_bytes(tokenizer_->token_bytes());
  }
  Progress progress(
      trainer.steps_done(), settings_.steps, text_.bytes_per_token());
  std::optional<training::EventFile> events;
  if (settings_.tensorboard && first()) {
    events.emplace(folder_.path(), trainer.steps_done());
  }
  const auto result =
      fit(trainer,
          options,
          first() ? talk(progress, events ? &*events : nullptr)
                  : training::FitCallbacks());
  if (first()) {
    progress.finish();
  }
  describe_reduction(trainer);
  validation_ = result.validation;
  const int signal = this->signal();
  if (processes_) {
    processes_->finish();
  }
  if (signal != 0) {
    if (!first()) {
      return 128 + signal;
    }
    std::fflush(stdout);
    // Not fmt::print, which throws where the terminal is gone.
    const auto line = fmt::format(
        "signalllm: interrupted; step {} is saved, go on with: signalllm "
        "train --resume {}\n",
        trainer.steps_done(),
        folder_.path());
    std::fputs(line.c_str(), stderr);
    return 128 + signal;
  }
  was_complete_ = trainer.steps_done() == done_before && !validation_;
  if (!first()) {
    return 0;
  }
  if (result.early_stop) {
    fmt::print(
        "{}{}\n",
        describe(*result.early_stop),
        was_complete_ ? "; a larger --patience goes on"
                      : "; eval and generate take the best one's weights");
  } else if (was_complete_) {
    fmt::print(
        "the run has done its {} steps; a larger --steps goes on\n",
        trainer.steps_done());
  }
  load_averaged_weights();
  return 0;
}

void TrainingRun::load_averaged_weights() {
  if (settings_.average > 0) {
    const auto last = folder_.load_latest();
    auto tensors = last.model;
    for (const auto& [name, tensor] : last.average) {
      tensors[name] = tensor;
    }
    training::load_module(*model_, tensors);
  }
}

} // namespace signalllm::app
