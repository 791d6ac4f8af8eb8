#pragma once

#include "transform_case.h"

#include "short_analysis.cuh"
#include "short_synthesis.cuh"

namespace signalllm::cuda {

/// Fill the shape but for the filters; false where other kernels must do it:
/// long filters, many levels, rules that wrap around.
bool plan_short(const TransformCase& c, ShortAnalysisParams& p);
bool plan_short(const TransformCase& c, ShortSynthesisParams& p);

} // namespace signalllm::cuda
