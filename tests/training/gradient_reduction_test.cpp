// Trainers of several processes against one.

#include "messages.h"
#include "training/in_processes.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>

#include <set>
#include <string>
#include <vector>

namespace signalllm::training {
namespace {

struct Course {
  std::vector<double> losses;
  std::vector<double> norms;
  TensorMap weights;
};

/// What the first of `count` processes sees of `steps` steps.
Course course(int64_t count, TrainerOptions how, int steps = 50) {
  Course course;
  in_all(count, [&](std::shared_ptr<Processes> processes) {
    Trainer trainer(
        model_of(processes, 0.0),
        small_windows(),
        TrainerOptions(how).processes(processes));
    for (int step = 0; step < steps; ++step) {
      trainer.step();
      const auto report = trainer.report();
      if (!processes || processes->first()) {
        course.losses.push_back(report.loss);
        course.norms.push_back(report.gradient_norm);
        EXPECT_EQ(report.tokens, how.batch() * how.accumulate() * 8);
      }
    }
    if (!processes || processes->first()) {
      course.weights = trainer.checkpoint().model;
    }
    if (processes) {
      processes->finish();
    }
  });
  return course;
}

void expect_same(const Course& a, const Course& b) {
  ASSERT_EQ(a.losses.size(), b.losses.size());
  for (std::size_t step = 0; step < a.losses.size(); ++step) {
    EXPECT_NEAR(a.losses[step] / b.losses[step], 1, 1e-5) << step;
    EXPECT_NEAR(a.norms[step] / b.norms[step], 1, 1e-4) << step;
  }
}

TEST(GradientReduction, AnyNumberOfProcessesHasTheSameLosses) {
  const auto alone = course(1, small_options());
  EXPECT_LT(alone.losses.back(), 0.8 * alone.losses.front());
  for (const int64_t count : {2, 3, 4}) {
    expect_same(alone, course(count, small_options()));
  }
}

TEST(GradientReduction, AccumulatedBatchesAreReducedOnce) {
  const auto how = small_options().batch(6).accumulate(3);
  expect_same(course(1, how), course(2, how));
}

TEST(GradientReduction, MuonHasTheSameLosses) {
  const auto how = small_options().adamw(AdamWOptions().muon(true));
  expect_same(course(1, how), course(2, how));
}

TEST(GradientReduction, ManyBucketsAreTheSame) {
  // A model of several megabytes, so of more than one bucket.
  const auto train = [](int64_t count) {
    std::vector<double> losses;
    in_all(count, [&](std::shared_ptr<Processes> processes) {
      torch::nn::Sequential body;
      {
        static std::mutex mutex;
        const std::lock_guard lock(mutex);
        torch::manual_seed(0);
        body->push_back(torch::nn::Embedding(11, 600));
        body->push_back(torch::nn::Linear(600, 600));
        body->push_back(torch::nn::Tanh());
        body->push_back(torch::nn::Linear(600, 600));
        body->push_back(torch::nn::Tanh());
        body->push_back(torch::nn::Linear(600, 11));
      }
      Trainer trainer(
          body.ptr(),
          [&](const at::Tensor& tokens) { return body->forward(tokens); },
          small_windows(),
          small_options()
              .schedule(ScheduleOptions().peak(1e-4).warmup(0).steps(12))
              .processes(processes));
      for (int step = 0; step < 12; ++step) {
        trainer.step();
        const auto loss = trainer.report().loss;
        if (!processes || processes->first()) {
          losses.push_back(loss);
        }
      }
      if (processes) {
        const auto reduction = trainer.reduction();
        EXPECT_EQ(reduction->bytes, 4 * (11 * 600 + 2 * 600 * 601 + 601 * 11));
        EXPECT_EQ(reduction->buckets, 2);
        EXPECT_GT(reduction->seconds, 0);
        EXPECT_GE(reduction->seconds, reduction->hidden_seconds);
        processes->finish();
      } else {
        EXPECT_FALSE(trainer.reduction());
      }
    });
    return losses;
  };
  const auto alone = train(1), two = train(2);
  for (std::size_t step = 0; step < alone.size(); ++step) {
    EXPECT_NEAR(two[step] / alone[step], 1, 1e-5) << step;
  }
}

TEST(GradientReduction, RowsAreSharedWithoutOverlap) {
  const auto rows = [](int64_t count) {
    std::mutex mutex;
    std::multiset<int64_t> first_tokens; // which name a window
    in_all(count, [&](std::shared_ptr<Processes> processes) {
      const std::size_t before = 2 * 2 * 6 / count;
      std::size_t seen = 0;
      SmallModel model(600, 0.0);
      Trainer trainer(
          model.ptr(),
          [&](const at::Tensor& tokens) {
            const std::lock_guard lock(mutex);
            for (int64_t row = 0; row < tokens.size(0); ++row, ++seen) {
              first_tokens.insert(tokens[row][0].item<int64_t>());
            }
            return model->forward(tokens);
          },
          data::RandomWindows(torch::arange(600), 8, 3),
          small_options().batch(6).accumulate(2).processes(processes));
      trainer.step();
      trainer.step();
      EXPECT_EQ(seen, before);
      if (processes) {
        processes->finish();
      }
    });
    return first_tokens;
  };
  const auto alone = rows(1);
  EXPECT_EQ(alone.size(), 24u);
  EXPECT_EQ(rows(2), alone);
  EXPECT_EQ(rows(3), alone);
}

TensorMap clone(TensorMap tensors) {
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.detach().clone();
  }
  return tensors;
}

/// The checkpoint of `count` processes after `steps` more steps.
Checkpoint go_on(int64_t count, const Checkpoint* from, int steps) {
  Checkpoint result;
  in_all(count, [&](std::shared_ptr<Processes> processes) {
    const bool first = !processes || processes->first();
    Trainer trainer(
        model_of(processes, 0.0),
        small_windows(),
        small_options().processes(processes));
    if (from != nullptr) {
      trainer.restore(first ? *from : Checkpoint());
      EXPECT_EQ(trainer.steps_done(), from->step);
    }
    for (int step = 0; step < steps; ++step) {
      trainer.step();
    }
    trainer.report();
    if (first) {
      result = trainer.checkpoint();
      for (auto* part : {&result.model, &result.average, &result.optimizer}) {
        *part = clone(*part);
      }
    }
    if (processes) {
      processes->finish();
    }
  });
  return result;
}

TEST(GradientReduction, OneCheckpointServesAnyNumber) {
  // Of three processes, whose sums depend on the order.
  const auto middle = go_on(3, nullptr, 10);
  const auto whole = go_on(3, nullptr, 15);
  for (const int64_t count : {1, 2, 3, 4}) {
    const auto resumed = go_on(count, &middle, 5);
    EXPECT_EQ(resumed.step, 15);
    for (const auto& [name, tensor] : whole.average) {
      const auto& other = resumed.average.at(name);
      if (count == 3) {
        EXPECT_TRUE(tensor.equal(other)) << name;
      } else {
        EXPECT_LT((tensor - other).abs().max().item<double>(), 1e-5) << name;
      }
    }
  }
}

TEST(GradientReduction, AModelThatChangesIsRefused) {
  in_processes(2, [&](std::shared_ptr<Processes> processes) {
    SmallModel model(11, 0.0);
    const auto late = model->register_parameter("late", torch::zeros({11}));
    int passes = 0;
    Trainer trainer(
        model.ptr(),
        [&](const at::Tensor& tokens) {
          const auto logits = model->forward(tokens);
          return ++passes > 2 ? logits + late : logits;
        },
        small_windows(),
        small_options().processes(processes));
    trainer.step();
    trainer.step();
    const auto message = message_of([&] { trainer.step(); });
    EXPECT_TRUE(contains(message, "late")) << message;
    processes->finish();
  });
}

TEST(GradientReduction, WrongBatchesAreRefused) {
  in_processes(2, [&](std::shared_ptr<Processes> processes) {
    const auto message = message_of([&] {
      Trainer(
          SmallModel(11),
          small_windows(),
          small_options().batch(3).processes(processes));
    });
    EXPECT_TRUE(contains(message, "multiple of the 2 processes")) << message;
    processes->finish();
  });
}

} // namespace
} // namespace signalllm::training
