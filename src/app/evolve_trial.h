#pragma once

#include "app/run_text.h"
#include "app/settings.h"

#include <signalllm/evolution.h>

#include <c10/core/Device.h>

#include <functional>
#include <string>

namespace signalllm::app {

/// What a genome is judged by: a training with it, for all with the same
/// weights at the start and on the same batches, scored on a slice of the
/// training text that no batch touches.
class EvolveTrial {
 public:
  /// `checkpoints` is a folder for trainings that go on later. Throws where
  /// the text is too short.
  EvolveTrial(
      const Settings& settings,
      int64_t rungs,
      const RunText& text,
      std::string checkpoints);

  /// Trains the individual to the end of its rung, from where it was left if
  /// it was. The score is the same either way, but for what is measured.
  /// `between_steps` is called then.
  BasisScore operator()(
      const BasisTrial& trial,
      const std::function<void()>& between_steps) const;

  SignalLLMOptions model() const;
  c10::Device device() const {
    return device_;
  }

 private:
  Settings settings_;
  int64_t rungs_;
  std::string checkpoints_;
  c10::Device device_;
  std::shared_ptr<data::Tokenizer> tokenizer_;
  at::Tensor learned_, judged_;
};

} // namespace signalllm::app
