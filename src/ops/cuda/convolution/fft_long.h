#pragma once

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

#include <cstdint>

/// Causal convolutions of 8,192 < L <= 131,072 in two passes. The signal
/// [batch, L, C] and n = 2^log >= L: `columns_in` takes `count` channels from
/// `first` on, does the transform's first pass of radix 16 in registers and
/// leaves rows [batch][count][16][n / 16] of complex values; the kernels of
/// rows transform each n / 16 on, multiply and go back, in place;
/// `columns_out` is the mirror of `columns_in`.
namespace signalllm::cuda {

inline constexpr int kColumnTile = 16; // channels

struct ColumnsParams {
  /// Signals [batch, ., channels]; what comes in is times gate, what goes out
  /// is written times each of the gates that there are.
  const void* input = nullptr;
  const void* gate = nullptr;
  const void* other_gate = nullptr;
  void* output = nullptr;
  void* other_output = nullptr;
  const float* skip = nullptr; // [channels], one more tap at lag 0
  float* rows = nullptr;
  int64_t batch = 0;
  int channels = 0;
  int first = 0;
  int count = 0;
  /// Value i of a transform is row i of the signal, or length - 1 - i where
  /// time runs backwards; rows from `limit` on are no part of it.
  int length = 0;
  int limit = 0;
  bool reversed = false;
  float scale = 1.f;
};

struct RowsParams {
  float* rows = nullptr; // [batch][count][16][n / 16]
  float* other = nullptr; // of the gradient, time running backwards
  float* spectrum = nullptr; // [count][16][n / 16], in the transform's order
  float* gradient = nullptr; // like spectrum
  int batch = 0;
  int count = 0;
  bool both = true; // convolves rows too, not only other
};

/// Logarithm of the transform for signals of `length`; 0 if none is needed or
/// long enough.
int fft_long_log(int64_t length);

cudaError_t columns_in(
    const ColumnsParams& params,
    int log,
    Dtype type,
    cudaStream_t stream);
cudaError_t columns_out(
    const ColumnsParams& params,
    int log,
    Dtype type,
    cudaStream_t stream);

/// spectrum: from what `columns_in` left of the kernel, in place.
cudaError_t rows_spectrum(const RowsParams& params, int log, cudaStream_t s);
/// rows *= spectrum.
cudaError_t rows_convolve(const RowsParams& params, int log, cudaStream_t s);
/// gradient = sum over the batch of rows * other, then rows and other *=
/// spectrum: the three results of a backward pass, each array transformed once.
cudaError_t rows_backward(const RowsParams& params, int log, cudaStream_t s);

} // namespace signalllm::cuda
