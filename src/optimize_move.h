#pragma once

#include <signalllm/optimize.h>

namespace signalllm::detail {

/// Takes every parameter, buffer and gradient of `model`, and what `optimizer`
/// (if any) remembers of them, to `report.device`; float64 becomes float32
/// where that is MPS. Adds to the report.
void move_tensors(
    torch::nn::Module& model,
    torch::optim::Optimizer* optimizer,
    OptimizeReport& report);

} // namespace signalllm::detail
