#include "app/training_run.h"

#include "app/external.h"
#include "app/memory.h"
#include "app/progress.h"

#include <signalllm/training/interrupt.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

namespace signalllm::app {
namespace {

using training::RunFolder;

RunFolder folder_of(const Settings& settings) {
  return RunFolder(settings.resume.empty() ? settings.out : settings.resume);
}

/// That of a run to resume; none else.
std::shared_ptr<data::Tokenizer> tokenizer_of(const Settings& settings) {
  if (settings.resume.empty()) {
    return nullptr;
  }
  const auto folder = folder_of(settings);
  return load_tokenizer(
      folder,
      model_from_json(
          folder.read_text("config.json"), folder.file("config.json")));
}

} // namespace

TrainingRun::TrainingRun(const Settings& settings)
    : settings_(settings), folder_(folder_of(settings)),
      device_(choose_device(settings.device)) {
  check(settings_);
  set_threads(settings_.threads);
  const bool resume = !settings_.resume.empty();
  if (resume) {
    lock_ = folder_.reopen();
  }
  text_ = read_run_text(settings_);
  if (resume && !settings_.force_data) {
    check_text(
        folder_,
        text_,
        settings_.data,
        "--data names the old one, --force-data goes on with this one");
  }
  text_.tokenize(settings_, tokenizer_of(settings_));
  tokenizer_ = text_.tokenizer;
  train_tokens_ = text_.train;
  valid_tokens_ = text_.valid;
  TORCH_CHECK(
      train_tokens_.numel() > settings_.context,
      "the text to learn has ",
      train_tokens_.numel(),
      " tokens, too short for --context ",
      settings_.context);
  TORCH_CHECK(
      valid_tokens_.numel() == 0 || valid_tokens_.numel() > settings_.context,
      "the held-out text has ",
      valid_tokens_.numel(),
      " tokens, too short for --context ",
      settings_.context,
      ": more text, a larger --valid-fraction, or 0 to hold out none");
  at::manual_seed(settings_.seed);
  const auto options = resume
      ? model_from_json(
            folder_.read_text("config.json"), folder_.file("config.json"))
      : model_options(settings_, tokenizer_->vocab_size());
  model_ = make_model(options, device_);
  check_memory(
      training_bytes(settings_, options, model_->num_parameters()),
      settings_.batch,
      settings_.context,
      device_);
  if (!resume) {
    lock_ = folder_.create();
    folder_.write_text("tokenizer.json", tokenizer_->to_json());
    write_settings();
  }
}

void TrainingRun::write_settings() const {
  if (settings_.resume.empty() || settings_.force_data ||
      !has_text_record(folder_)) {
    record_text(folder_, text_);
  }
  folder_.write_text("config.toml", to_toml(settings_));
  // The last: where it is there is a run.
  folder_.write_text("config.json", to_json(settings_, model_->options));
}

void TrainingRun::describe() const {
  fmt::print("text    {}\n", text_.describe(settings_));
  fmt::print(
      "model   {} parameters, {} layers of width {}, context {} {}\n",
      format_count(model_->num_parameters()),
      model_->options.layers(),
      model_->options.dim(),
      settings_.context,
      tokenizer_->kind());
  fmt::print(
      "run     {}: {} steps of {} tokens on {}{}\n",
      folder_.path(),
      format_count(settings_.steps),
      format_count(settings_.batch * settings_.accumulate * settings_.context),
      device_.str(),
      device_.is_cpu() ? fmt::format(", {} threads", at::get_num_threads())
                       : "");
  std::fflush(stdout);
}

void TrainingRun::resume(training::Trainer& trainer) {
  if (folder_.checkpoints().empty()) {
    fmt::print("no checkpoint yet: from the beginning\n");
  } else {
    std::vector<std::string> problems;
    trainer.restore(folder_.load_latest(&problems));
    report_damage(problems);
    const auto done = trainer.steps_done();
    TORCH_CHECK(
        done <= settings_.steps,
        "the run has done ",
        done,
        " steps already; --steps is ",
        settings_.steps);
    fmt::print("resumed after step {}\n", done);
  }
  folder_.truncate_log(trainer.steps_done());
  if (trainer.steps_done() < settings_.steps) {
    write_settings();
  }
}

int TrainingRun::train() {
  const training::InterruptGuard guard;
  training::Trainer trainer(
      model_,
      data::RandomWindows(train_tokens_, settings_.context, settings_.seed),
      trainer_options(settings_));
  if (!settings_.resume.empty()) {
    resume(trainer);
  }
  const bool done_before = trainer.steps_done() == settings_.steps;
  auto options = training::FitOptions()
                     .steps(settings_.steps)
                     .report_every(settings_.report_every)
                     .evaluate_every(settings_.evaluate_every)
                     .checkpoint_every(settings_.checkpoint_every)
                     .keep(settings_.keep)
                     .rollbacks(settings_.rollbacks)
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
  training::FitCallbacks callbacks;
  callbacks.on_report = [&](const auto& report, double speed) {
    progress.update(report, speed);
  };
  callbacks.on_evaluation = [&](int64_t step, const auto& evaluation) {
    progress.note(fmt::format(
        "step {}  held out: {:.4f} nats, {:.3f} bits/byte",
        step,
        evaluation.loss(),
        evaluation.bits_per_byte()));
  };
  callbacks.on_rollback = [&](const training::Rollback& back) {
    progress.note(fmt::format(
        "{}: back to step {}, on with other batches (roll-back {} of {})",
        back.reason,
        back.step,
        back.number,
        settings_.rollbacks));
  };
  const auto result = fit(trainer, options, callbacks);
  progress.finish();
  validation_ = result.validation;
  if (const int signal = training::interrupt_signal(); signal != 0) {
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
  was_complete_ = done_before && !validation_;
  if (was_complete_) {
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

void TrainingRun::draw_losses() const {
  fmt::print(
      "{}\n",
      draw(
          "plot_loss.py", folder_.file("log.jsonl"), folder_.file("loss.png")));
}

double TrainingRun::measure_step(const Settings& settings) {
  set_threads(settings.threads);
  auto text = read_run_text(settings);
  text.tokenize(settings);
  training::Trainer trainer(
      make_model(
          model_options(settings, text.tokenizer->vocab_size()),
          choose_device(settings.device)),
      data::RandomWindows(text.train, settings.context, settings.seed),
      trainer_options(settings));
  const auto time = [&](int steps) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) {
      trainer.step();
    }
    trainer.report(); // waits for the device
    return std::chrono::duration<double>(
               std::chrono::steady_clock::now() - start)
        .count();
  };
  time(3); // the first steps set things up
  return time(10) / 10;
}

} // namespace signalllm::app
