#pragma once

/// The sequence mixers.
#include <signalllm/nn/fourier_convolution_attention.h>
#include <signalllm/nn/frequency_domain_attention.h>
#include <signalllm/nn/mps_optimized_attention.h>
#include <signalllm/nn/wavelet_attention.h>
