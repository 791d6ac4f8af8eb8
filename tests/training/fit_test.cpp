#include <signalllm/training/fit.h>

#include <signalllm/training/interrupt.h>

#include "messages.h"
#include "temporary_folder.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <set>
#include <utility>

namespace signalllm::training {
namespace {

struct FitRun {
  /// Logits are NaN in these forward passes of training, counted from 1.
  explicit FitRun(std::set<int> bad = {})
      : model((torch::manual_seed(0), 11)),
        trainer(
            model.ptr(),
            [this, bad](const torch::Tensor& tokens) {
              const auto logits = model->forward(tokens);
              if (!model->is_training()) {
                return logits;
              }
              seen.push_back(tokens.clone());
              return bad.contains(static_cast<int>(seen.size()))
                  ? logits * std::nan("")
                  : logits;
            },
            data::RandomWindows(
                torch::arange(500).remainder(11).to(torch::kByte),
                8,
                3),
            TrainerOptions().batch(4)) {}
  SmallModel model;
  std::vector<torch::Tensor> seen; // batches, in order
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
  callbacks.on_report = [&](const StepReport& report, const Speed&) {
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

TEST(Fit, AStoppedRunGetsItsLastValidation) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  FitRun whole;
  fit(whole.trainer, options(run));
  const auto log = folder.read("log.jsonl");
  const auto last = log.rfind('{');
  ASSERT_NE(log.find("valid_loss", last), std::string::npos);
  folder.write("log.jsonl", log.substr(0, last));
  int validations = 0;
  FitCallbacks callbacks;
  callbacks.on_evaluation = [&](int64_t step, const Evaluation&) {
    EXPECT_EQ(step, 20);
    ++validations;
  };
  const auto go_on = [&](FitOptions how) {
    FitRun second;
    second.trainer.restore(run.load_latest());
    return fit(second.trainer, how, callbacks);
  };
  // Stopped in the middle: a part of the text is no validation.
  int looks = 0;
  EXPECT_FALSE(
      go_on(options(run).stop([&] { return ++looks > 1; })).validation);
  EXPECT_EQ(validations, 0);
  EXPECT_TRUE(go_on(options(run)).validation.has_value());
  EXPECT_EQ(folder.read("log.jsonl"), log);
  EXPECT_FALSE(go_on(options(run)).validation); // nothing is owed any more
  EXPECT_EQ(validations, 1);
}

TEST(Fit, StoppedInAValidationItSavesAndMakesUpForIt) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  FitRun first;
  bool stop = false;
  // Asked after step 10 and not before, then in its validation.
  auto how = options(run).stop([&] {
    return first.trainer.steps_done() == 10 && std::exchange(stop, true);
  });
  EXPECT_FALSE(fit(first.trainer, how).finished);
  EXPECT_EQ(run.load_latest().step, 10);
  EXPECT_FALSE(contains(folder.read("log.jsonl"), "valid_loss"));
  FitRun second;
  second.trainer.restore(run.load_latest());
  std::vector<int64_t> evaluations;
  FitCallbacks callbacks;
  callbacks.on_evaluation = [&](int64_t step, const Evaluation&) {
    evaluations.push_back(step);
  };
  fit(second.trainer, options(run), callbacks);
  EXPECT_EQ(evaluations, (std::vector<int64_t>{10, 20}));
}

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.state, b.state);
  for (const auto part : {&Checkpoint::model, &Checkpoint::optimizer}) {
    ASSERT_EQ((a.*part).size(), (b.*part).size());
    for (const auto& [name, tensor] : a.*part) {
      EXPECT_TRUE(tensor.equal((b.*part).at(name))) << name;
    }
  }
}

TEST(Fit, GoesBackFromNaNAndOnWithOtherBatches) {
  const TemporaryFolder folder, other;
  const auto run = run_folder(folder);
  std::vector<Rollback> ways;
  FitCallbacks callbacks;
  callbacks.on_rollback = [&](const Rollback& back) { ways.push_back(back); };
  FitRun whole({13});
  EXPECT_TRUE(
      fit(whole.trainer, options(run).rollbacks(1), callbacks).finished);
  ASSERT_EQ(ways.size(), 1U);
  EXPECT_EQ(ways[0].failed_step, 13);
  EXPECT_EQ(ways[0].step, 8);
  EXPECT_EQ(ways[0].number, 1);
  EXPECT_TRUE(contains(ways[0].reason, "step 13 is not finite"));
  // Read at step 15: batches 9 to 15, then others for 9 to 20.
  ASSERT_EQ(whole.seen.size(), 15U + 12U);
  for (int i = 0; i < 7; ++i) {
    EXPECT_FALSE(whole.seen[8 + i].equal(whole.seen[15 + i])) << i;
  }
  const auto log = folder.read("log.jsonl");
  EXPECT_TRUE(contains(log, "{\"step\":8,\"rollback\":1,\"failed_step\":13,"))
      << log;

  // Stopped after the way back, and resumed: the same again.
  const auto again = run_folder(other);
  FitRun broken({13});
  bool went_back = false;
  callbacks.on_rollback = [&](const Rollback&) { went_back = true; };
  EXPECT_FALSE(fit(broken.trainer,
                   options(again).rollbacks(1).stop([&] {
                     return went_back && broken.trainer.steps_done() == 10;
                   }),
                   callbacks)
                   .finished);
  FitRun resumed;
  resumed.trainer.restore(again.load_latest());
  EXPECT_EQ(resumed.trainer.steps_done(), 10);
  EXPECT_EQ(resumed.trainer.rollbacks(), 1);
  EXPECT_TRUE(fit(resumed.trainer, options(again)).finished);
  expect_same(run.load_latest(), again.load_latest());
}

TEST(Fit, TheWayBackIsKnownToTheDiskAtOnce) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  FitRun model({13, 14});
  FitCallbacks callbacks;
  callbacks.on_rollback = [&](const Rollback& back) {
    FitRun other; // what a process would find that starts now
    other.trainer.restore(run.load_latest());
    EXPECT_EQ(other.trainer.steps_done(), back.step);
    EXPECT_EQ(other.trainer.rollbacks(), back.number);
    throw std::runtime_error("killed");
  };
  EXPECT_THROW(
      fit(model.trainer, options(run).rollbacks(2), callbacks),
      std::runtime_error);
}

TEST(Fit, ACheckpointThatLeadsThereAgainIsGivenUp) {
  const TemporaryFolder folder;
  const auto run = run_folder(folder);
  std::vector<int64_t> steps;
  FitCallbacks callbacks;
  callbacks.on_rollback = [&](const Rollback& back) {
    steps.push_back(back.step);
    EXPECT_EQ(run.checkpoints().back(), back.step);
  };
  auto how = options(run).report_every(1).checkpoint_every(4);
  FitRun model({14, 15});
  EXPECT_TRUE(fit(model.trainer, how.rollbacks(2), callbacks).finished);
  EXPECT_EQ(steps, (std::vector<int64_t>{12, 8}));
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{16, 20}));
}

TEST(Fit, GoesBackSoOftenAndNoMore) {
  const auto message = [](int64_t times, std::set<int> bad) {
    FitRun model(std::move(bad));
    return message_of([&] {
      fit(model.trainer,
          FitOptions().steps(6).report_every(1).rollbacks(times));
    });
  };
  EXPECT_TRUE(contains(message(0, {3}), "step 3 is not finite (nan): lower"));
  EXPECT_EQ(message(1, {3}), ""); // to the start, which is in memory
  EXPECT_EQ(message(2, {1, 2}), "");
  const auto used_up = message(1, {3, 5});
  EXPECT_TRUE(contains(used_up, "(nan), after 1 roll-back: lower")) << used_up;
}

TEST(Fit, GoesBackFromDivergence) {
  FitRun model;
  Trainer trainer(
      model.model.ptr(),
      [&, calls = 0](const torch::Tensor& tokens) mutable {
        const auto logits = model.model->forward(tokens);
        return ++calls > 40 && calls <= 44 ? logits * -1000 : logits;
      },
      data::RandomWindows(torch::arange(500).remainder(11), 8, 3),
      TrainerOptions().batch(4).divergence(2).schedule(
          ScheduleOptions().peak(0.03).warmup(0)));
  std::vector<Rollback> ways;
  FitCallbacks callbacks;
  callbacks.on_rollback = [&](const Rollback& back) { ways.push_back(back); };
  fit(trainer,
      FitOptions().steps(60).report_every(10).checkpoint_every(20).rollbacks(1),
      callbacks);
  ASSERT_EQ(ways.size(), 1U);
  EXPECT_TRUE(contains(ways[0].reason, "diverged at step 43"))
      << ways[0].reason;
  EXPECT_EQ(ways[0].step, 40);
}

TEST(Fit, AClosedTerminalIsNoEnd) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        std::raise(SIGHUP);
        std::raise(SIGHUP); // of the shell, and of the kernel
        std::exit(interrupt_signal() == SIGHUP ? 7 : 8);
      },
      testing::ExitedWithCode(7),
      "");
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN); // nohup
        {
          const InterruptGuard guard;
          std::raise(SIGHUP);
        }
        std::raise(SIGHUP);
        std::exit(interrupt_signal() == 0 ? 7 : 8);
      },
      testing::ExitedWithCode(7),
      "");
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
