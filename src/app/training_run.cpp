#include "app/training_run.h"

#include "app/external.h"
#include "app/memory.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>

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

TrainingRun::TrainingRun(
    const Settings& settings,
    std::shared_ptr<training::Processes> processes)
    : settings_(settings), processes_(std::move(processes)),
      folder_(folder_of(settings)), device_(at::kCPU) {
  const bool resume = !settings_.resume.empty();
  SignalLLMOptions options(1);
  std::string words, config;
  together([&] {
    read(resume);
    if (first()) { // the folder may be on no other machine
      text_.tokenize(settings_, tokenizer_of(settings_));
      tokenizer_ = text_.tokenizer;
      options = resume
          ? model_from_json(
                folder_.read_text("config.json"), folder_.file("config.json"))
          : model_options(settings_, tokenizer_->vocab_size());
      words = tokenizer_->to_json();
      config = to_json(settings_, options);
    }
  });
  if (processes_) {
    tokenizer_ = data::Tokenizer::from_json(processes_->share(words));
    options = model_from_json(processes_->share(config), "process 0");
    check_same_text();
  }
  together([&] { build(resume, options); });
}

void TrainingRun::together(const std::function<void()>& work) const {
  processes_ ? processes_->together(work) : work();
}

void TrainingRun::choose_threads() const {
  set_threads(settings_.threads);
  // Of the machine's cores each process takes its share.
  if (processes_ && settings_.threads == 0 &&
      std::getenv("OMP_NUM_THREADS") == nullptr) {
    const auto share = at::get_num_threads() / processes_->local_count();
    at::set_num_threads(static_cast<int>(std::max<int64_t>(share, 1)));
  }
}

void TrainingRun::read(bool resume) {
  device_ = choose_device(settings_.device);
  if (processes_) {
    device_ = processes_->use(device_);
  }
  check(settings_);
  TORCH_CHECK(
      !processes_ || settings_.batch % processes_->count() == 0,
      "--batch is ",
      settings_.batch,
      "; it must be a multiple of the ",
      processes_ ? processes_->count() : 1,
      " processes that share it");
  choose_threads();
  if (resume && first()) {
    lock_ = folder_.reopen();
  }
  text_ = read_run_text(settings_);
  if (resume && first() && !settings_.force_data) {
    check_text(
        folder_,
        text_,
        settings_.data,
        "--data names the old one, --force-data goes on with this one");
  }
}

void TrainingRun::check_same_text() const {
  const auto mine = fingerprint(text_);
  const auto theirs = processes_->share(mine);
  together([&] {
    TORCH_CHECK(
        mine == theirs,
        "process ",
        processes_->rank(),
        " reads another text than process 0: --data ",
        settings_.data,
        " must hold the same on every machine");
  });
}

void TrainingRun::build(bool resume, const SignalLLMOptions& options) {
  if (!first()) {
    text_.tokenize(settings_, tokenizer_);
  }
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
  TORCH_CHECK(
      valid_tokens_.numel() > 0 || settings_.patience == 0,
      "--patience ",
      settings_.patience,
      " waits for validations, and no text is held out: --valid names one, a "
      "larger --valid-fraction takes it from --data");
  at::manual_seed(settings_.seed);
  model_ = make_model(options, device_);
  check_memory(
      training_bytes(settings_, options, model_->num_parameters()),
      processes_ ? settings_.batch / processes_->count() : settings_.batch,
      settings_.context,
      device_);
  if (!resume && first()) {
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
  if (!first()) {
    return;
  }
  fmt::print("text    {}\n", text_.describe(settings_));
  fmt::print(
      "model   {} parameters, {} layers of width {}, context {} {}\n",
      format_count(model_->num_parameters()),
      model_->options.layers(),
      model_->options.dim(),
      settings_.context,
      tokenizer_->kind());
  fmt::print(
      "run     {}: {} steps of {} tokens on {}{}{}\n",
      folder_.path(),
      format_count(settings_.steps),
      format_count(settings_.batch * settings_.accumulate * settings_.context),
      device_.str(),
      device_.is_cpu() ? fmt::format(", {} threads", at::get_num_threads())
                       : "",
      processes_ ? fmt::format(", {} processes", processes_->count()) : "");
  std::fflush(stdout);
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
