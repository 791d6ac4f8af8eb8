#pragma once

#include "transform_case.h"

#include "stream_analysis.cuh"
#include "stream_synthesis.cuh"

namespace signalllm::cuda {

/// Fill the shape but for the filters; false where the general kernels must or
/// should do it: long filters, many levels, rules that wrap around, small
/// signals.
bool plan_stream(const TransformCase& c, StreamAnalysisParams& p);
bool plan_stream(const TransformCase& c, StreamSynthesisParams& p);

} // namespace signalllm::cuda
