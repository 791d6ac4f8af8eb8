#pragma once

#include <signalllm/export.h>

#include <torch/arg.h>

#include <cstdint>
#include <string>
#include <vector>

namespace signalllm::training {

/// A learning rate over `steps` optimizer steps: a linear rise over the first
/// `warmup` of them, then
/// - "cosine": half a cosine from `peak` to `floor`,
/// - "linear": a straight line from `peak` to `floor`,
/// - "wsd" (warm-up, stable, decay): `peak`, and over the last
///   `decay_fraction` of the steps `floor + (peak - floor) (1 - sqrt(u))`, u
///   from 0 to 1. Of the shapes of the decay compared in Haegele et al. 2024
///   (arXiv:2405.18392), this one ended lowest, where a fifth of the steps was
///   enough to end as low as a cosine. Until the decay the rate does not
///   depend on `steps`,
/// - "constant": `peak`.
struct SIGNALLLM_API ScheduleOptions {
  ScheduleOptions() = default;

  TORCH_ARG(std::string, shape) = "cosine";
  TORCH_ARG(double, peak) = 1e-3;
  TORCH_ARG(double, floor) = 1e-4;
  TORCH_ARG(int64_t, warmup) = 100;
  TORCH_ARG(int64_t, steps) = 1000;
  /// Of "wsd", above 0 and at most 1; its decay begins after the rise at the
  /// earliest.
  TORCH_ARG(double, decay_fraction) = 0.2;
};

/// The names that `ScheduleOptions::shape` takes.
SIGNALLLM_API const std::vector<std::string>& schedule_shapes();

/// The rate of step `step`, counted from 0. Throws for an unknown shape or
/// fraction.
SIGNALLLM_API double learning_rate(
    const ScheduleOptions& options,
    int64_t step);

} // namespace signalllm::training
