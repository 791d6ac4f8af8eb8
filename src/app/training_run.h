#pragma once

#include "app/progress.h"
#include "app/run_text.h"
#include "app/session.h"
#include "app/settings.h"

#include <signalllm/training/fit.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace signalllm::training {
class EventFile;
}

namespace signalllm::app {

/// One training run from its settings: reads the text, builds the model, makes
/// or reopens the folder. What is wrong with any of it throws before anything
/// is written but the folder's lock.
class TrainingRun {
 public:
  /// With several processes all make one, from the same settings, and train;
  /// the first of them writes and talks.
  explicit TrainingRun(
      const Settings& settings,
      std::shared_ptr<training::Processes> processes = nullptr);

  /// Says what is about to happen.
  void describe() const;
  /// Trains to the end of the steps with a progress line. Returns the exit
  /// code: 0, or 128 plus the signal that stopped it, which leaves a
  /// checkpoint and one line that says how to go on. A run that was stopped
  /// between its last checkpoint and its last validation gets that; for one
  /// that lacks nothing it says so.
  int train();
  /// Whether `train` found nothing left to do.
  bool was_complete() const {
    return was_complete_;
  }
  /// Whether this process writes and talks.
  bool first() const {
    return !processes_ || processes_->first();
  }
  /// Draws the loss curve into the folder and says so.
  void draw_losses() const;

  /// Seconds a step takes, from a few steps of a copy with other weights.
  static double measure_step(const Settings& settings);

  SignalLLM& model() {
    return model_;
  }
  const data::Tokenizer& tokenizer() const {
    return *tokenizer_;
  }
  const data::Corpus& corpus() const {
    return text_.corpus;
  }
  const training::RunFolder& folder() const {
    return folder_;
  }
  const std::optional<training::Evaluation>& validation() const {
    return validation_;
  }

 private:
  void together(const std::function<void()>& work) const;
  void choose_threads() const;
  void read(bool resume);
  void check_same_text() const;
  void build(bool resume, const SignalLLMOptions& options);
  training::FitCallbacks talk(Progress& progress, training::EventFile* events)
      const;
  /// Operations a second that the device can do; 0 where nobody knows.
  double peak_flops() const;
  /// That any of the processes got, 0 if none.
  int signal() const;
  /// Why the run ended before its last step.
  std::string describe(const training::EarlyStop& stop) const;
  void describe_reduction(const training::Trainer& trainer) const;
  /// Puts the newest checkpoint into the trainer and, when nothing speaks
  /// against going on, the settings into the folder.
  void resume(training::Trainer& trainer);
  void write_settings() const;
  void load_averaged_weights();

  Settings settings_;
  std::shared_ptr<training::Processes> processes_;
  training::RunFolder folder_;
  training::RunLock lock_;
  c10::Device device_;
  RunText text_;
  std::shared_ptr<data::Tokenizer> tokenizer_;
  at::Tensor train_tokens_, valid_tokens_;
  SignalLLM model_{nullptr};
  std::optional<training::Evaluation> validation_;
  bool was_complete_ = false;
};

} // namespace signalllm::app
