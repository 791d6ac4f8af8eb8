#pragma once

#include "ops/wavedec.h"

#pragma GCC visibility push(default) // the plug-in and the tests use it

namespace signalllm::ops {

/// Checks the outputs of `wavedec.out`.
void check_wavedec_out(
    const WavedecPlan& plan,
    const at::Tensor& input,
    const at::Tensor& dec_lo,
    const at::Tensor& dec_hi,
    at::TensorList out);

} // namespace signalllm::ops

#pragma GCC visibility pop
