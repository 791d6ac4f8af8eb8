#pragma once

#include "nn/tree_layout.h"

#include <array>

/// `tree_attention` by the flash attention kernel of CUDA, in half types.
namespace signalllm::tree {

/// Whether queries `[N, T, d]` can go that way.
bool flash_takes(const at::Tensor& query, int64_t opened);

/// What the backward pass needs beside query, key and value.
struct FlashSaved {
  at::Tensor output, logsumexp, random_state, unused;
};

/// `[N, T, d]` and what to save.
std::pair<at::Tensor, FlashSaved> flash_forward(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    int64_t window);

/// Gradients for query, key and value.
std::array<at::Tensor, 3> flash_backward(
    const at::Tensor& gradient,
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    const FlashSaved& saved,
    int64_t window);

} // namespace signalllm::tree
