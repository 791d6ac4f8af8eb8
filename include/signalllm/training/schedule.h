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
/// - "constant": `peak`.
struct SIGNALLLM_API ScheduleOptions {
  ScheduleOptions() = default;

  TORCH_ARG(std::string, shape) = "cosine";
  TORCH_ARG(double, peak) = 1e-3;
  TORCH_ARG(double, floor) = 1e-4;
  TORCH_ARG(int64_t, warmup) = 100;
  TORCH_ARG(int64_t, steps) = 1000;
};

/// The names that `ScheduleOptions::shape` takes.
SIGNALLLM_API const std::vector<std::string>& schedule_shapes();

/// The rate of step `step`, counted from 0. Throws for an unknown shape.
SIGNALLLM_API double learning_rate(
    const ScheduleOptions& options,
    int64_t step);

} // namespace signalllm::training
