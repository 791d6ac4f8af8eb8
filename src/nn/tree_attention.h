#pragma once

#include <signalllm/nn/tree_attention.h>

namespace signalllm {

/// Throws naming `function` for what `tree_attention` does not take.
void check_tree_attention(
    const char* function,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const TreeAttentionOptions& options);

} // namespace signalllm
