#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

/// Convolutions of `channels` signals a batch entry, each of `length` values
/// `stride` apart; row (n, c) begins at (n * channels + c) * stride.
struct ConvParams {
  const void* input = nullptr;
  void* output = nullptr; // may be the input
  float* spectrum = nullptr; // [channels][n][2], in the transform's own order
  int64_t batch = 0;
  int64_t stride = 0;
  int channels = 0;
  int length = 0;
  bool causal = true;
  bool reversed = false; // the transpose: time runs backwards
};

/// kernel [channels, stride] (float, `taps` used), skip [channels] or null.
struct SpectrumParams {
  const float* kernel = nullptr;
  const float* skip = nullptr;
  float* spectrum = nullptr;
  int64_t stride = 0;
  int taps = 0;
  int channels = 0;
};

/// grad_kernel[k, c] = sum over n, t of grad[n, t] input[n, t - k], k < taps.
struct KernelGradientParams {
  const void* input = nullptr;
  const void* grad = nullptr;
  float* out = nullptr; // [taps, channels]
  int64_t batch = 0;
  int64_t stride = 0;
  int channels = 0;
  int length = 0;
  int taps = 0;
  bool causal = true;
};

/// out[n, j, i] = in[n, i, j] (times the gate, which lies like `in` or like
/// `out`); row strides are in elements.
struct TransposeParams {
  const void* in = nullptr;
  void* out = nullptr;
  const void* gate_in = nullptr;
  const void* gate_out = nullptr;
  int64_t batch = 0;
  int64_t in_stride = 0;
  int64_t out_stride = 0;
  int rows = 0;
  int columns = 0;
};

/// Logarithm of the transform for signals of `length`; 0 beyond the largest.
int fft_log(int64_t length);

cudaError_t launch(const ConvParams& params, Dtype type, cudaStream_t stream);
cudaError_t launch(const SpectrumParams& params, int log, cudaStream_t stream);
cudaError_t
launch(const KernelGradientParams& params, Dtype type, cudaStream_t stream);
cudaError_t
launch(const TransposeParams& params, Dtype type, cudaStream_t stream);

} // namespace signalllm::cuda
