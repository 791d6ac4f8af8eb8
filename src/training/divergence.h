#pragma once

#include <signalllm/training/trainer.h>

#include <string>
#include <vector>

namespace signalllm::training {

/// Losses that the judgement of the next one looks at.
inline constexpr std::size_t remembered_losses = 104;

/// What is wrong with the loss of `step`, "" if nothing: it is not finite, or
/// training has diverged. That is said where the median of the last five
/// losses is above `factor` times the median of the up to 100 before them and
/// 1 nat above it, so that neither one odd batch nor the noise of a small loss
/// counts; 20 losses must be known. `before` are the losses of the steps
/// before, oldest first. A factor of 0 judges finiteness only.
SIGNALLLM_API std::string loss_trouble(
    const std::vector<double>& before,
    double loss,
    int64_t step,
    double factor);

/// What the user can do about it.
std::string loss_advice(const TrainerOptions& options);

} // namespace signalllm::training
