#pragma once

#include <signalllm/data/windows.h>
#include <signalllm/export.h>
#include <signalllm/training/adamw.h>
#include <signalllm/training/checkpoint.h>
#include <signalllm/training/distributed.h>
#include <signalllm/training/evaluate.h>
#include <signalllm/training/schedule.h>

#include <torch/arg.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace signalllm::training {

struct SIGNALLLM_API TrainerOptions {
  TrainerOptions() = default;

  /// Windows that go through the model at once, of all processes together.
  TORCH_ARG(int64_t, batch) = 16;
  /// Batches whose gradients are averaged in one step.
  TORCH_ARG(int64_t, accumulate) = 1;
  TORCH_ARG(ScheduleOptions, schedule) = {};
  TORCH_ARG(AdamWOptions, adamw) = {};
  TORCH_ARG(FusedAdamW::Predicate, has_decay) = decays;
  /// Matrix products in bfloat16, weights and sums in float32.
  TORCH_ARG(bool, bfloat16) = false;
  /// Weights averaged with this decay a step are kept and judged; 0 keeps none.
  TORCH_ARG(double, average) = 0.0;
  /// Record the device's work of a step once and repeat that (a CUDA graph):
  /// the GPU does not wait for launches. Without effect on other devices. The
  /// model must do the same work in every step, and nothing on the host.
  TORCH_ARG(bool, record) = false;
  /// Training has diverged where the median of five losses is above this many
  /// times the median of the hundred before, and a nat above it; 0 never.
  TORCH_ARG(double, divergence) = 0.0;
  /// Those that train this model together; null: this one alone. They begin
  /// with the weights of the first one. Each takes `batch` / count of the rows
  /// that one process alone would take, so that up to rounding (and dropout)
  /// the losses are the same for any number of them.
  TORCH_ARG(std::shared_ptr<Processes>, processes) = nullptr;
};

class GradientReduction;
class Recording;

/// What it takes to average the gradients of several processes, the times as
/// means over a sample of the steps.
struct SIGNALLLM_API Reduction {
  int64_t bytes = 0; // of gradients, a step
  int64_t buckets = 0; // that they are summed in
  double seconds = 0; // from the first bucket's start to the last one's end
  double hidden_seconds = 0; // of these, while backward still computed
  double backward_seconds = 0;
};

/// What happened since the last report.
struct SIGNALLLM_API StepReport {
  int64_t step = 0; // steps done in all
  double loss = 0; // nats a token, mean over the steps since the last report
  double gradient_norm = 0; // of the last step, before clipping
  double learning_rate = 0; // of the last step
  int64_t tokens = 0; // since the last report
  int64_t steps = 0; // likewise
  int64_t skipped = 0; // steps without an update: gradients not finite
  /// The first step since the last report whose loss is not finite or has
  /// diverged, and what is wrong with it; "" if nothing.
  int64_t trouble_step = 0;
  std::string trouble;
};

/// Trains any module that turns tokens `[rows, context]` into logits. Steps
/// are queued without reading anything back from the device; `report` reads.
///
/// ```
/// SignalLLM model(SignalLLMOptions(256));
/// Trainer trainer(
///     model.ptr(),
///     [&](const at::Tensor& tokens) { return model->forward(tokens); },
///     data::RandomWindows(tokens, /*context=*/128, /*seed=*/1),
///     TrainerOptions().batch(16));
/// for (int i = 0; i < 1000; ++i) trainer.step();
/// std::cout << trainer.report().loss;
/// ```
class SIGNALLLM_API Trainer {
 public:
  /// The model must be on its device already. With several processes
  /// construction, `step`, `report`, `review`, `evaluate`, `restore` and
  /// `roll_back` are collective.
  Trainer(
      std::shared_ptr<torch::nn::Module> model,
      Forward forward,
      data::RandomWindows windows,
      TrainerOptions options = {});

  /// Any module holder with `forward(tokens)`.
  template <typename Holder>
  Trainer(
      Holder model,
      data::RandomWindows windows,
      TrainerOptions options = {})
      : Trainer(
            model.ptr(),
            [impl = model.ptr()](const at::Tensor& tokens) {
              return impl->forward(tokens);
            },
            std::move(windows),
            std::move(options)) {}

  /// Loss and gradients of `accumulate` batches, one update.
  void step();

  int64_t steps_done() const {
    return steps_done_;
  }
  const TrainerOptions& options() const {
    return options_;
  }

  /// Reads the losses since the last report from the device. Throws
  /// `c10::Error` naming the step and what to do where one is not finite.
  StepReport report();
  /// The same, but throws nothing: `trouble` says what is wrong.
  StepReport review();

  /// With the averaged weights where there are any.
  Evaluation evaluate(
      const data::ConsecutiveWindows& windows,
      const at::Tensor& token_bytes,
      EvaluateOptions options = {});

  /// Weights, moments, position in the data, random states. The tensors are
  /// the live ones: save them before the next step.
  Checkpoint checkpoint() const;
  /// Goes on from there: on the CPU bit for bit as if never interrupted. Of
  /// several processes the first one's checkpoint counts, whatever the number
  /// of those that wrote it.
  void restore(const Checkpoint& checkpoint);

  /// Goes back to a checkpoint of this run and on with other batches: those
  /// from row 2^40 `rollbacks()` of the stream of windows on, a function of
  /// the seed and of how often the run went back. Checkpoints keep the count.
  void roll_back(const Checkpoint& checkpoint);
  /// How often this run went back, and the step that it went back to last.
  int64_t rollbacks() const {
    return rollbacks_;
  }
  int64_t rollback_step() const {
    return rollback_step_;
  }

  /// Nothing where there is one process, or before the second step.
  std::optional<Reduction> reduction() const;

 private:
  bool first() const;
  /// The rows of the next step that are this process's.
  data::Batch next_rows();
  void set_random_state();
  void load(const Checkpoint& checkpoint);
  void load_counters(int64_t step, const std::string& state);
  /// All go on from where the first process is.
  void share();
  /// Loss and gradient norm of one update; the rate is a double or a tensor.
  template <typename Rate>
  std::pair<at::Tensor, at::Tensor>
  update(const at::Tensor& inputs, const at::Tensor& targets, const Rate& rate);
  void step_recorded(const data::Batch& batch, double rate);
  void update_average();
  at::Tensor on_device(const at::Tensor& tensor) const;

  std::shared_ptr<torch::nn::Module> model_;
  Forward forward_;
  data::RandomWindows windows_;
  TrainerOptions options_;
  at::Device device_;
  int64_t count_; // of processes
  int64_t local_batch_; // rows of a batch that are this process's
  FusedAdamW optimizer_;
  TensorMap average_; // of the parameters, empty unless options say so
  int64_t steps_done_ = 0;
  int64_t rows_done_ = 0; // position in the stream of windows
  int64_t rollbacks_ = 0;
  int64_t rollback_step_ = 0;
  int64_t tokens_ = 0; // since the last report
  std::vector<double> recent_; // losses that were reported, the last of them
  std::vector<at::Tensor> losses_; // of the steps since the last report
  std::vector<at::Tensor> norms_;
  std::shared_ptr<GradientReduction> reduction_; // null: one process
  std::shared_ptr<Recording> recording_; // null: not recorded
  int64_t rehearsals_ = 0;
  bool recorded_ = false;
  // What a recorded step reads and writes.
  at::Tensor inputs_, targets_, rate_, loss_, norm_;
};

} // namespace signalllm::training
