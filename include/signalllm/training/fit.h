#pragma once

#include <signalllm/training/checkpoint.h>
#include <signalllm/training/trainer.h>

#include <functional>
#include <optional>
#include <string>

namespace signalllm::training {

/// What is judged, when, and where it is kept.
struct SIGNALLLM_API FitOptions {
  FitOptions() = default;

  /// Steps to have done in the end, those before a resume included.
  TORCH_ARG(int64_t, steps) = 1000;
  /// Steps between reports, between validations and between checkpoints; 0
  /// only at the end.
  TORCH_ARG(int64_t, report_every) = 10;
  TORCH_ARG(int64_t, evaluate_every) = 0;
  TORCH_ARG(int64_t, checkpoint_every) = 0;
  /// Checkpoints kept, 0 all.
  TORCH_ARG(int64_t, keep) = 2;
  TORCH_ARG(std::optional<data::ConsecutiveWindows>, validation) = {};
  /// `Tokenizer::token_bytes()`; needed with `validation`.
  TORCH_ARG(at::Tensor, token_bytes) = {};
  TORCH_ARG(EvaluateOptions, evaluate) = {};
  /// Training ends after this many validations without a new best loss, which
  /// is one lower by more than `min_delta` (in nats); 0 never. Then every
  /// validation has a checkpoint, and the best one's is kept beside `keep`.
  TORCH_ARG(int64_t, patience) = 0;
  TORCH_ARG(double, min_delta) = 0.0;
  /// Floating-point operations of a token's training and those that the device
  /// can do a second, for `Speed`; 0 where nobody knows.
  TORCH_ARG(double, flops_per_token) = 0.0;
  TORCH_ARG(double, peak_flops) = 0.0;
  /// How often, in all, a run may go back to its last good checkpoint and on
  /// with other batches, because a loss was not finite or had diverged
  /// (`TrainerOptions::divergence`). After that `fit` throws. Until there is a
  /// checkpoint, a copy of the start is kept in memory.
  TORCH_ARG(int64_t, rollbacks) = 0;
  /// Gets checkpoints and `log.jsonl`; without it nothing is written.
  TORCH_ARG(std::optional<RunFolder>, folder) = {};
  /// Looked at after every step; true ends the training with a checkpoint.
  TORCH_ARG(std::function<bool()>, stop) = {};
};

/// A way back.
struct SIGNALLLM_API Rollback {
  int64_t number = 0; // counted over the whole run, from 1
  int64_t failed_step = 0;
  int64_t step = 0; // where the run goes on from
  std::string reason;
};

/// An end because the held-out loss had stopped falling.
struct SIGNALLLM_API EarlyStop {
  int64_t step = 0;
  int64_t best_step = -1; // -1: no validation was finite
  double best_loss = 0; // as the log has it
  int64_t waited = 0; // validations since
};

/// How fast the steps since the last report were, validations and checkpoints
/// apart.
struct SIGNALLLM_API Speed {
  double tokens_per_second = 0;
  double step_milliseconds = 0;
  double flops = 0; // operations a second, of all processes; 0: not known
  /// `flops` over the peak of the processes' devices; 0: not known.
  double utilisation = 0;
};

struct SIGNALLLM_API FitCallbacks {
  std::function<void(const StepReport&, const Speed&)> on_report;
  std::function<void(int64_t step, const Evaluation&)> on_evaluation;
  std::function<void(int64_t step)> on_checkpoint;
  std::function<void(const Rollback&)> on_rollback;
};

struct SIGNALLLM_API FitResult {
  bool finished = false; // false: `stop` said so
  std::optional<EarlyStop> early_stop; // of `patience`
  std::optional<Evaluation> validation; // the last one
  double seconds = 0;
};

/// Runs a trainer to the end of its steps: reports, validation, checkpoints and
/// the log, one JSON object a line:
/// `{"step", "loss", "gradient_norm", "learning_rate", "tokens_per_second",
/// "step_ms", "tflops", "mfu", "seconds"}` (the two before the last where they
/// are known), `{"step", "valid_loss", "valid_bits_per_byte"}` and
/// `{"step", "rollback", "failed_step", "reason"}`. A validation that the step
/// where the trainer stands should have had, and that is not in the log, is
/// made up for: the run was stopped before it. The log is also where
/// `patience` finds the validations before a resume.
///
/// With several processes (`TrainerOptions::processes`) all call it with the
/// same options; the first writes, and all stop where one is asked to.
SIGNALLLM_API FitResult
fit(Trainer& trainer,
    const FitOptions& options,
    const FitCallbacks& callbacks = {});

} // namespace signalllm::training
