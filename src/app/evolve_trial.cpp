#include "app/evolve_trial.h"

#include "app/evolve_settings.h"
#include "app/memory.h"
#include "app/session.h"

#include <signalllm/nn/flops.h>
#include <signalllm/training/trainer.h>

#include <c10/util/Exception.h>

#include <chrono>
#include <filesystem>

namespace signalllm::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// The training goes to its rung's end; earlier rungs' ends are on the disk,
/// if they are.
void train_to(
    training::Trainer& trainer,
    int64_t steps,
    const training::RunFolder& folder,
    const std::function<void()>& between_steps) {
  if (std::filesystem::exists(folder.path())) {
    const auto ends = folder.checkpoints();
    if (!ends.empty() && ends.back() <= steps) {
      trainer.restore(folder.load(ends.back()));
    }
  }
  while (trainer.steps_done() < steps) {
    trainer.step();
    between_steps();
  }
}

} // namespace

EvolveTrial::EvolveTrial(
    const Settings& settings,
    int64_t rungs,
    const RunText& text,
    std::string checkpoints)
    : settings_(settings), rungs_(rungs), checkpoints_(std::move(checkpoints)),
      device_(choose_device(settings.device)), tokenizer_(text.tokenizer) {
  const auto& tokens = text.train;
  const auto judged = tokens.numel() / 10;
  TORCH_CHECK(
      judged > settings.context,
      "the text to learn has ",
      tokens.numel(),
      " tokens, too short to hold out a tenth for --context ",
      settings.context);
  learned_ = tokens.slice(0, 0, tokens.numel() - judged);
  judged_ = tokens.slice(0, tokens.numel() - judged);
}

SignalLLMOptions EvolveTrial::model() const {
  return evolve_model(settings_, tokenizer_->vocab_size());
}

BasisScore EvolveTrial::operator()(
    const BasisTrial& trial,
    const std::function<void()>& between_steps) const {
  const auto seed = settings_.seed + static_cast<uint64_t>(trial.seed);
  at::manual_seed(seed);
  const auto model =
      make_model(with_basis(this->model(), trial.individual.basis), device_);
  training::Trainer trainer(
      model,
      data::RandomWindows(learned_, settings_.context, seed),
      trainer_options(settings_));
  const training::RunFolder folder(
      checkpoints_ + "/" + std::to_string(trial.individual.id) + "-" +
      std::to_string(trial.seed));
  PeakMemory memory;
  const auto start = SteadyClock::now();
  int64_t trained = 0;
  train_to(
      trainer, rung_steps(settings_.steps, rungs_, trial.rung), folder, [&] {
        ++trained;
        between_steps();
      });
  trainer.review(); // waits for the device
  const std::chrono::duration<double> seconds = SteadyClock::now() - start;
  const auto bytes = memory.bytes();
  const auto result = trainer.evaluate(
      data::ConsecutiveWindows(judged_, settings_.context),
      tokenizer_->token_bytes());
  between_steps();
  if (trial.rung + 1 < rungs_) { // it may go on
    std::filesystem::create_directories(folder.path());
    folder.save(trainer.checkpoint(), /*keep=*/1);
  }
  const auto window = static_cast<double>(settings_.batch * settings_.context);
  const auto tokens =
      window * static_cast<double>(settings_.accumulate * trained);
  return {
      result.bits_per_byte(),
      training_flops(*model, settings_.context) / 6,
      trained > 0 ? seconds.count() / tokens : 0,
      static_cast<double>(bytes) / window};
}

} // namespace signalllm::app
