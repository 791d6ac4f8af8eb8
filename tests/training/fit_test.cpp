#include <signalllm/training/fit.h>

#include <signalllm/training/interrupt.h>

#include "temporary_folder.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

namespace signalllm::training {
namespace {

struct FitRun {
  FitRun()
      : model((torch::manual_seed(0), 11)),
        trainer(
            model,
            data::RandomWindows(
                torch::arange(500).remainder(11).to(torch::kByte),
                8,
                3),
            TrainerOptions().batch(4)) {}
  SmallModel model;
  Trainer trainer;
};

FitOptions options(const RunFolder& folder) {
  return FitOptions()
      .steps(20)
      .report_every(5)
      .checkpoint_every(8)
      .evaluate_every(10)
      .validation(data::ConsecutiveWindows(torch::arange(100).remainder(11), 8))
      .token_bytes(torch::ones({11}, torch::kLong))
      .folder(folder);
}

RunFolder run_folder(const TemporaryFolder& folder) {
  folder.write("config.json", "{}");
  return RunFolder(folder.path());
}

TEST(Fit, ReportsValidatesAndSaves) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  std::vector<int64_t> reports, evaluations, checkpoints;
  FitCallbacks callbacks;
  callbacks.on_report = [&](const StepReport& report, double) {
    reports.push_back(report.step);
  };
  callbacks.on_evaluation = [&](int64_t step, const Evaluation&) {
    evaluations.push_back(step);
  };
  callbacks.on_checkpoint = [&](int64_t step) { checkpoints.push_back(step); };
  FitRun model;
  const auto result = fit(model.trainer, options(run), callbacks);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.validation->tokens, 96);
  EXPECT_EQ(reports, (std::vector<int64_t>{5, 8, 10, 15, 16, 20}));
  EXPECT_EQ(evaluations, (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(checkpoints, (std::vector<int64_t>{8, 16, 20}));
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{16, 20}));
  const auto log = folder.read("log.jsonl");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 8);
}

TEST(Fit, StopsAfterTheStepWithACheckpoint) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  FitRun model;
  int looks = 0;
  const auto result =
      fit(model.trainer, options(run).stop([&] { return ++looks > 3; }));
  EXPECT_FALSE(result.finished);
  EXPECT_FALSE(result.validation.has_value());
  EXPECT_EQ(run.load_latest().step, 3);
  // And goes on to the end from there.
  FitRun second;
  second.trainer.restore(run.load_latest());
  EXPECT_TRUE(fit(second.trainer, options(run)).finished);
  EXPECT_EQ(second.trainer.steps_done(), 20);
}

TEST(Fit, ASignalIsRememberedAndTheSecondIsNot) {
  {
    const InterruptGuard guard;
    EXPECT_EQ(interrupt_signal(), 0);
    std::raise(SIGINT);
    EXPECT_EQ(interrupt_signal(), SIGINT);
  }
  const InterruptGuard again;
  EXPECT_EQ(interrupt_signal(), 0);
  EXPECT_EXIT(
      {
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT),
      "");
}

} // namespace
} // namespace signalllm::training
