#pragma once

/// Everything that a program needs to build, swap and run models.
#include <signalllm/evolution.h>
#include <signalllm/functional.h>
#include <signalllm/nn/adaptive_basis_selection.h>
#include <signalllm/nn/attention.h>
#include <signalllm/nn/block.h>
#include <signalllm/nn/causal_filter.h>
#include <signalllm/nn/decoder.h>
#include <signalllm/nn/embedding.h>
#include <signalllm/nn/feed_forward.h>
#include <signalllm/nn/flops.h>
#include <signalllm/nn/generate.h>
#include <signalllm/nn/hybrid_embedding.h>
#include <signalllm/nn/model.h>
#include <signalllm/nn/positional_encoding.h>
#include <signalllm/nn/spectral_gap_analyzer.h>
#include <signalllm/nn/stochastic_transform.h>
#include <signalllm/nn/swappable.h>
#include <signalllm/nn/tree_attention.h>
#include <signalllm/nn/wavelet_transform.h>
#include <signalllm/optimize.h>
#include <signalllm/version.h>
#include <signalllm/wavelet.h>
