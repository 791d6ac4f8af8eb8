#pragma once

#include "ops/waverec.h"

#pragma GCC visibility push(default) // the plug-in and the tests use it

namespace signalllm::ops {

/// Checks the output of `waverec.out`.
void check_waverec_out(
    const WaverecPlan& plan,
    at::TensorList coeffs,
    const at::Tensor& rec_lo,
    const at::Tensor& rec_hi,
    const at::Tensor& out);

} // namespace signalllm::ops

#pragma GCC visibility pop
