#pragma once

#include <signalllm/export.h>

#include <torch/nn/module.h>

#include <cstdint>

namespace signalllm {

/// Floating-point operations that training a model takes for one token of
/// windows of `length` T, a multiplication and an addition counted as two.
/// Forward, as the sum over the modules of the tree:
/// - `2 w` of a linear layer or tied head with w weights,
/// - `4 D_a K` of an attention of width D_a where a query sees K keys: (T + 1)
///   / 2 of dense causal attention, T without causality, the mean over the
///   positions with a window,
/// - `15 D_f log2(2 T)` of a Fourier convolution of width D_f: three real FFTs
///   of length 2 T, n of length n taking 2.5 n log2 n,
/// - `2 c k` of a filter of k taps on c channels, `2 c (2 k J + J + 2)` of one
///   of J levels.
///
/// Backward counts twice that. Left out: what is done once a window or step
/// (embedding table, kernels, optimizer), norms, activations, and what is
/// computed again to save memory. So 6 N + attention + convolutions for N
/// weights in matrices, as Kaplan et al. 2020 (arXiv:2001.08361) and Chowdhery
/// et al. 2022 (arXiv:2204.02311) count.
SIGNALLLM_API double training_flops(
    const torch::nn::Module& model,
    int64_t length);

/// Keys that a position of a sequence of `length` sees on average in
/// `WaveletAttention` with `window`, 0 for dense causal attention: the window
/// before and its own, and of every level above the nodes behind.
SIGNALLLM_API double mean_keys(int64_t length, int64_t window);

} // namespace signalllm
