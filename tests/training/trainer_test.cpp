#include <signalllm/training/trainer.h>

#include "temporary_folder.h"
#include "training/recording.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace signalllm::training {
namespace {

data::RandomWindows windows() {
  // A cycle of 11 tokens: predictable from one token back.
  return {torch::arange(500).remainder(11).to(torch::kByte), 8, 3};
}

TrainerOptions options() {
  return TrainerOptions()
      .batch(4)
      .schedule(ScheduleOptions().peak(0.05).warmup(2).steps(6))
      .average(0.9);
}

/// Model and trainer after `steps` steps from seed 0.
struct TinyRun {
  explicit TinyRun(TrainerOptions how = options())
      : model((torch::manual_seed(0), 11)), trainer(model, windows(), how) {}
  void steps(int count) {
    for (int i = 0; i < count; ++i) {
      trainer.step();
    }
  }
  SmallModel model;
  Trainer trainer;
};

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.state, b.state);
  for (const auto part :
       {&Checkpoint::model, &Checkpoint::average, &Checkpoint::optimizer}) {
    ASSERT_EQ((a.*part).size(), (b.*part).size());
    EXPECT_FALSE((a.*part).empty());
    for (const auto& [name, tensor] : a.*part) {
      EXPECT_TRUE(tensor.equal((b.*part).at(name))) << name;
    }
  }
}

TEST(Trainer, WithoutMomentsItBeginsWithNewOnes) {
  TinyRun run;
  run.steps(3);
  const auto moments = [&] {
    double sum = 0;
    for (const auto& [name, tensor] : run.trainer.checkpoint().optimizer) {
      if (name.starts_with("adamw.")) {
        sum += tensor.abs().sum().item<double>();
      }
    }
    return sum;
  };
  EXPECT_GT(moments(), 0);
  auto imported = run.trainer.checkpoint();
  imported.optimizer.clear();
  run.trainer.restore(imported);
  EXPECT_EQ(moments(), 0);
}

TEST(Trainer, ResumesBitForBit) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  TinyRun whole;
  whole.steps(6);
  {
    TinyRun first;
    first.steps(3);
    run.save(first.trainer.checkpoint());
  }
  TinyRun second;
  torch::rand({100}); // another random state than when it was saved
  second.trainer.restore(run.load_latest());
  EXPECT_EQ(second.trainer.steps_done(), 3);
  second.steps(3);
  expect_same(whole.trainer.checkpoint(), second.trainer.checkpoint());
}

TEST(Trainer, LearnsACycle) {
  TinyRun run(TrainerOptions().batch(8).schedule(
      ScheduleOptions().peak(0.05).warmup(5).steps(150)));
  run.steps(1);
  const auto first = run.trainer.report();
  EXPECT_NEAR(first.loss, std::log(11), 0.5);
  EXPECT_EQ(first.tokens, 64);
  EXPECT_GT(first.gradient_norm, 0);
  run.steps(149);
  const auto last = run.trainer.report();
  EXPECT_EQ(last.step, 150);
  EXPECT_EQ(last.tokens, 149 * 64);
  const data::ConsecutiveWindows held_out(torch::arange(100).remainder(11), 8);
  const auto evaluation =
      run.trainer.evaluate(held_out, torch::ones({11}, torch::kLong));
  EXPECT_LT(evaluation.loss(), 0.2);
  EXPECT_EQ(evaluation.tokens, 96);
  EXPECT_NEAR(
      evaluation.bits_per_byte(), evaluation.loss() / std::log(2), 1e-12);
  EXPECT_NEAR(evaluation.perplexity(), std::exp(evaluation.loss()), 1e-12);
  EXPECT_TRUE(run.model->is_training());
}

TEST(Trainer, AccumulationEqualsALargerBatch) {
  const auto how = [](int64_t batch, int64_t accumulate) {
    return options().batch(batch).accumulate(accumulate).average(0);
  };
  const auto train = [&](TrainerOptions o) {
    torch::manual_seed(0);
    SmallModel model(11, 0.0);
    Trainer trainer(model, windows(), o);
    for (int i = 0; i < 5; ++i) {
      trainer.step();
    }
    return model->head->weight.detach().clone();
  };
  EXPECT_LT(
      (train(how(8, 1)) - train(how(2, 4))).abs().max().item<double>(), 1e-5);
}

TEST(Trainer, AveragedWeightsAreJudged) {
  TinyRun run(options().average(0.5));
  run.steps(4);
  const auto before = run.model->head->weight.detach().clone();
  const auto average = run.trainer.checkpoint().average.at("head.weight");
  EXPECT_FALSE(before.equal(average));
  const data::ConsecutiveWindows held_out(torch::arange(33).remainder(11), 8);
  const auto ones = torch::ones({11}, torch::kLong);
  const auto judged = run.trainer.evaluate(held_out, ones).loss();
  EXPECT_TRUE(run.model->head->weight.equal(before)); // put back
  {
    torch::NoGradGuard no_grad;
    for (auto& item : run.model->named_parameters()) {
      item.value().copy_(run.trainer.checkpoint().average.at(item.key()));
    }
  }
  const auto expected = evaluate(
      *run.model,
      [&](const torch::Tensor& x) { return run.model->forward(x); },
      held_out,
      ones);
  EXPECT_EQ(judged, expected.loss());
}

TEST(Trainer, Bfloat16Learns) {
  TinyRun run(TrainerOptions().batch(8).bfloat16(true).schedule(
      ScheduleOptions().peak(0.05).warmup(5).steps(100)));
  run.steps(1);
  const auto first = run.trainer.report().loss;
  run.steps(99);
  EXPECT_LT(run.trainer.report().loss, first * 0.7);
  EXPECT_EQ(run.model->head->weight.scalar_type(), torch::kFloat);
}

TEST(Trainer, ALossThatIsNotFiniteNamesTheStep) {
  TinyRun run;
  run.steps(2);
  run.trainer.report();
  run.steps(1);
  {
    torch::NoGradGuard no_grad;
    run.model->head->bias.fill_(std::numeric_limits<float>::quiet_NaN());
  }
  run.steps(2);
  try {
    run.trainer.report();
    FAIL();
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    EXPECT_NE(message.find("step 4"), std::string::npos) << message;
    EXPECT_NE(message.find("learning rate"), std::string::npos) << message;
  }
}

/// A recording on the CPU: repeats the work itself, and counts.
struct Repetition : Recording {
  static inline int rehearsed = 0, recorded = 0, replayed = 0;
  std::function<void()> work;
  void rehearse(const std::function<void()>& w) override {
    ++rehearsed;
    w();
  }
  void record(const std::function<void()>& w) override {
    ++recorded;
    work = w;
  }
  void replay() override {
    ++replayed;
    work();
  }
};

TEST(Trainer, ARecordedStepDoesTheSame) {
  const auto train = [](bool record) {
    torch::manual_seed(0);
    TinyRun run(options().accumulate(2).record(record));
    run.steps(6);
    const auto report = run.trainer.report();
    return std::pair(report, run.model->head->weight.detach().clone());
  };
  const auto plain = train(false);
  register_recording(at::kCPU, [](at::Device) {
    return std::unique_ptr<Recording>(new Repetition);
  });
  const auto recorded = train(true);
  const auto refused = train(false);
  register_recording(at::kCPU, nullptr);
  EXPECT_EQ(Repetition::rehearsed, 3);
  EXPECT_EQ(Repetition::recorded, 1);
  EXPECT_EQ(Repetition::replayed, 3);
  EXPECT_NEAR(plain.first.loss, recorded.first.loss, 1e-6);
  EXPECT_EQ(plain.first.tokens, recorded.first.tokens);
  EXPECT_LT((plain.second - recorded.second).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(plain.second.equal(refused.second));
}

TEST(Trainer, WrongOptionsAreRefused) {
  EXPECT_THROW(TinyRun(options().batch(0)), c10::Error);
  EXPECT_THROW(TinyRun(options().accumulate(0)), c10::Error);
  EXPECT_THROW(TinyRun(options().average(1)), c10::Error);
}

} // namespace
} // namespace signalllm::training
