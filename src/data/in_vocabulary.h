#pragma once

#include <ATen/core/Tensor.h>

namespace signalllm::data {

/// The tokens as a contiguous 1-D int64 tensor on the CPU. Throws where one is
/// not 0 to `vocab_size - 1`.
at::Tensor in_vocabulary(const at::Tensor& tokens, int64_t vocab_size);

} // namespace signalllm::data
