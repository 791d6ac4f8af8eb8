#include "training/patience.h"

#include "messages.h"
#include "temporary_folder.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

namespace signalllm::training {
namespace {

Patience with_losses(int64_t limit, std::vector<double> losses) {
  Patience patience(limit, 0);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    patience.add(static_cast<int64_t>(10 * (i + 1)), losses[i]);
  }
  return patience;
}

TEST(Patience, CountsFromTheBest) {
  const auto stop = with_losses(2, {3, 2, 2.5, 2}).verdict();
  ASSERT_TRUE(stop); // as low as the best is not lower
  EXPECT_EQ(stop->step, 40);
  EXPECT_EQ(stop->best_step, 20);
  EXPECT_EQ(stop->best_loss, 2);
  EXPECT_EQ(stop->waited, 2);
  EXPECT_FALSE(with_losses(2, {}).verdict());
  EXPECT_FALSE(with_losses(2, {3, 2, 2.5}).verdict());
  EXPECT_FALSE(with_losses(2, {3, 3.5, 2.9, 3}).verdict());
  EXPECT_FALSE(with_losses(0, {1, 2, 3, 4, 5}).verdict());
}

TEST(Patience, ALossThatIsNoNumberIsNoBest) {
  const auto nan = std::nan("");
  EXPECT_EQ(with_losses(3, {nan, 2, nan}).best_step(), 20);
  const auto stop = with_losses(2, {nan, nan}).verdict();
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->best_step, -1);
}

TEST(Patience, ABestIsLowerByTheDifference) {
  Patience patience(2, 0.5);
  for (const auto& [step, loss] :
       {std::pair(1, 3.0), std::pair(2, 2.75), std::pair(3, 2.5)}) {
    patience.add(step, loss);
  }
  EXPECT_EQ(patience.best_step(), 1);
  EXPECT_TRUE(patience.verdict());
  patience.cut(2); // a roll-back
  EXPECT_FALSE(patience.verdict());
  patience.add(3, 2.25);
  EXPECT_EQ(patience.best_step(), 3);
}

/// Learns to count up, and is judged on counting down: ever worse.
struct WaitingRun {
  explicit WaitingRun(const TemporaryFolder& place)
      : folder(place.path()), model((torch::manual_seed(0), 11)),
        trainer(
            model,
            data::RandomWindows(torch::arange(500).remainder(11), 8, 3),
            TrainerOptions().batch(4).schedule(
                ScheduleOptions().peak(0.05).floor(0.05).warmup(0))) {
    place.write("config.json", "{}");
    if (!folder.checkpoints().empty()) {
      trainer.restore(folder.load_latest());
      folder.truncate_log(trainer.steps_done());
    }
  }
  FitOptions options(int64_t patience) const {
    return FitOptions()
        .steps(100)
        .report_every(0)
        .checkpoint_every(8)
        .evaluate_every(5)
        .patience(patience)
        .validation(data::ConsecutiveWindows(
            (1000 - torch::arange(100)).remainder(11), 8))
        .token_bytes(torch::ones({11}, torch::kLong))
        .folder(folder);
  }
  RunFolder folder;
  SmallModel model;
  Trainer trainer;
};

TEST(EarlyStop, EndsTheTrainingAndKeepsTheBest) {
  const TemporaryFolder folder;
  {
    WaitingRun run(folder);
    const auto result = fit(run.trainer, run.options(4));
    EXPECT_TRUE(result.finished);
    ASSERT_TRUE(result.early_stop);
    EXPECT_EQ(result.early_stop->best_step, 5);
    EXPECT_EQ(result.early_stop->waited, 4);
    EXPECT_EQ(run.trainer.steps_done(), 25);
    EXPECT_EQ(run.folder.checkpoints(), (std::vector<int64_t>{5, 24, 25}));
    EXPECT_EQ(run.folder.load_best().step, 5);
    EXPECT_EQ(run.folder.load_latest().step, 25);
  }
  const auto log = folder.read("log.jsonl");
  {
    WaitingRun run(folder); // there is nothing left to do
    const auto result = fit(run.trainer, run.options(4));
    EXPECT_TRUE(result.finished);
    ASSERT_TRUE(result.early_stop);
    EXPECT_EQ(result.early_stop->step, 25);
    EXPECT_EQ(run.trainer.steps_done(), 25);
    EXPECT_EQ(folder.read("log.jsonl"), log);
  }
  WaitingRun run(folder); // but with more patience there is
  EXPECT_TRUE(fit(run.trainer, run.options(6)).early_stop);
  EXPECT_EQ(run.trainer.steps_done(), 35);
}

TEST(EarlyStop, ARunThatIsInterruptedEndsTheSame) {
  const TemporaryFolder whole, parts;
  WaitingRun undisturbed(whole);
  fit(undisturbed.trainer, undisturbed.options(4));
  for (int starts = 0;; ++starts) {
    ASSERT_LT(starts, 20);
    WaitingRun run(parts);
    const auto end = run.trainer.steps_done() + 2;
    if (fit(run.trainer, run.options(4).stop([&] {
          return run.trainer.steps_done() >= end;
        })).finished) {
      break;
    }
  }
  EXPECT_EQ(
      RunFolder(parts.path()).load_best().step,
      RunFolder(whole.path()).load_best().step);
  for (const auto* file :
       {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    const auto path = std::string("checkpoint-00000025/") + file;
    EXPECT_TRUE(whole.read(path) == parts.read(path)) << file;
    EXPECT_FALSE(whole.read(path).empty());
  }
}

TEST(EarlyStop, NothingToWaitForIsRefused) {
  const TemporaryFolder folder;
  WaitingRun run(folder);
  EXPECT_TRUE(contains(
      message_of([&] { fit(run.trainer, run.options(4).evaluate_every(0)); }),
      "patience is 4, but there is nothing to wait for: evaluate_every is 0"));
  EXPECT_TRUE(contains(
      message_of(
          [&] { fit(run.trainer, run.options(4).validation(std::nullopt)); }),
      "there is no validation text"));
  EXPECT_TRUE(contains(
      message_of([&] { fit(run.trainer, run.options(-1)); }),
      "patience is -1"));
  EXPECT_TRUE(contains(
      message_of([&] { fit(run.trainer, run.options(1).min_delta(-1)); }),
      "min_delta -1"));
}

} // namespace
} // namespace signalllm::training
