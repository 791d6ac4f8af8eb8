// A training step that a CUDA graph repeats, against one launched part by part.

#include "support.h"

#include <signalllm/nn/model.h>
#include <signalllm/optimize.h>
#include <signalllm/training/trainer.h>

#include <ATen/Context.h>

namespace signalllm::training {
namespace {

class CudaRecording : public testing::Test {};

TEST_F(CudaRecording, ARecordedStepDoesTheSame) {
  if (!at::globalContext().hasCUDA()) {
    GTEST_SKIP() << "no CUDA device";
  }
  const auto tokens = torch::randint(31, {4000}, torch::kLong).to(torch::kByte);
  const auto train = [&](bool record) {
    torch::manual_seed(1);
    SignalLLM model(SignalLLMOptions(31).dim(32).layers(2).max_length(48));
    optimize_for_mps(model, torch::kCUDA);
    Trainer trainer(
        model,
        data::RandomWindows(tokens, 48, 2),
        TrainerOptions()
            .batch(4)
            .accumulate(2)
            .average(0.9)
            .record(record)
            .schedule(ScheduleOptions().peak(1e-2).warmup(2).steps(12)));
    for (int i = 0; i < 12; ++i) {
      trainer.step();
    }
    const auto report = trainer.report();
    EXPECT_EQ(report.tokens, 12 * 2 * 4 * 48);
    return std::pair(report.loss, model->norm->weight.detach().cpu());
  };
  const auto plain = train(false);
  const auto recorded = train(true);
  EXPECT_NEAR(recorded.first, plain.first, 1e-3);
  test::expect_close(recorded.second, plain.second, 1e-2);
}

} // namespace
} // namespace signalllm::training
