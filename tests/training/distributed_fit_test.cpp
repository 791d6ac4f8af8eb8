#include <signalllm/training/fit.h>

#include "messages.h"
#include "temporary_folder.h"
#include "training/in_processes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace signalllm::training {
namespace {

/// `fit` of `count` processes; `forward` gets the rank and the number of the
/// pass.
using Spoil = std::function<at::Tensor(int64_t, int, const at::Tensor&)>;

std::vector<FitResult> fit_all(
    const RunFolder& folder,
    int64_t count,
    const Spoil& spoil,
    const std::function<bool(int64_t rank, int64_t step)>& stop) {
  std::vector<FitResult> results(count);
  in_processes(count, [&](std::shared_ptr<Processes> processes) {
    auto model = model_of(processes, 0.0);
    int passes = 0;
    Trainer trainer(
        model.ptr(),
        [&](const at::Tensor& tokens) {
          const auto logits = model->forward(tokens);
          return model->is_training()
              ? spoil(processes->rank(), ++passes, logits)
              : logits;
        },
        small_windows(),
        small_options().processes(processes));
    results[processes->rank()] =
        fit(trainer,
            FitOptions()
                .steps(20)
                .report_every(5)
                .checkpoint_every(4)
                .evaluate_every(10)
                .rollbacks(1)
                .validation(data::ConsecutiveWindows(
                    torch::arange(100).remainder(11), 8))
                .token_bytes(torch::ones({11}, torch::kLong))
                .evaluate(EvaluateOptions().batch(5))
                .folder(folder)
                .stop([&] {
                  return stop(processes->rank(), trainer.steps_done());
                }));
    processes->finish();
  });
  return results;
}

at::Tensor unspoilt(int64_t, int, const at::Tensor& logits) {
  return logits;
}

bool never(int64_t, int64_t) {
  return false;
}

TEST(DistributedFit, TheFirstWritesAndAllJudgeTheSame) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  const RunFolder run(folder.path());
  const auto results = fit_all(run, 3, unspoilt, never);
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{16, 20}));
  for (const auto& result : results) {
    EXPECT_TRUE(result.finished);
    EXPECT_EQ(result.validation->tokens, 96);
    EXPECT_EQ(result.validation->nats, results[0].validation->nats);
  }
  // Reports at 4, 5, 8, 10, 12, 15, 16 and 20, validations at 10 and 20.
  const auto log = folder.read("log.jsonl");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 10);
}

TEST(DistributedFit, AllStopWhereOneIsAskedTo) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  const RunFolder run(folder.path());
  const auto results =
      fit_all(run, 2, unspoilt, [](int64_t rank, int64_t step) {
        return rank == 1 && step >= 7;
      });
  EXPECT_FALSE(results[0].finished);
  EXPECT_FALSE(results[1].finished);
  EXPECT_EQ(run.checkpoints().back(), 7);
}

TEST(DistributedFit, AllGiveUpAtTheSameStep) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  const RunFolder run(folder.path());
  // Twice: the second time only the first process knows of the validations.
  for (const int64_t patience : {2, 3}) {
    std::vector<FitResult> results(2);
    std::vector<int64_t> steps(2);
    in_processes(2, [&](std::shared_ptr<Processes> processes) {
      Trainer trainer(
          model_of(processes, 0.0),
          small_windows(),
          small_options()
              .schedule(ScheduleOptions().peak(0).floor(0))
              .processes(processes));
      if (patience == 3) {
        trainer.restore(processes->first() ? run.load_latest() : Checkpoint());
      }
      const auto rank = processes->rank();
      results[rank] =
          fit(trainer,
              FitOptions()
                  .steps(50)
                  .evaluate_every(5)
                  .patience(patience)
                  .validation(data::ConsecutiveWindows(
                      torch::arange(100).remainder(11), 8))
                  .token_bytes(torch::ones({11}, torch::kLong))
                  .folder(run));
      steps[rank] = trainer.steps_done();
      processes->finish();
    });
    const int64_t end = 5 + 5 * patience; // the first is the best
    EXPECT_EQ(steps, (std::vector<int64_t>{end, end}));
    for (const auto& result : results) {
      EXPECT_TRUE(result.finished);
      EXPECT_TRUE(result.early_stop);
    }
    EXPECT_EQ(results[0].early_stop->best_step, 5);
  }
}

TEST(DistributedFit, AllGoBackFromOnesLoss) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  const RunFolder run(folder.path());
  const auto results = fit_all(
      run,
      2,
      [](int64_t rank, int pass, const at::Tensor& logits) {
        return rank == 1 && pass == 10 ? logits * std::nan("") : logits;
      },
      never);
  EXPECT_TRUE(results[0].finished && results[1].finished);
  const auto log = folder.read("log.jsonl");
  EXPECT_TRUE(contains(log, "\"rollback\":1,\"failed_step\":10")) << log;
  EXPECT_EQ(run.load_latest().step, 20);
}

} // namespace
} // namespace signalllm::training
