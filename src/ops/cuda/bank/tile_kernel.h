#pragma once

// The border between the kernels (.cu, which know no ATen) and their
// registration (.cpp): plain parameter blocks, dtypes as numbers, a stream.

#include "analysis.cuh"
#include "synthesis.cuh"

#include "ops/cuda/device.h"
#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {

/// Which instantiation of a tiled kernel runs, and how its threads lie.
struct TileKernel {
  Dtype type = Dtype::float32;
  bool vectors = false; // 16-byte accesses
  bool per_channel = false;
  bool fine = false; // few outputs a thread: more threads for small inputs
  int taps = 0; // unrolled for this many, 0 for any number

  /// Neighbouring channels of a thread.
  int width() const {
    return vectors ? 16 / size_of(type) : 1;
  }
  int wide_outputs() const {
    return !vectors || width() < 8 ? 8 : 4;
  }
  /// Eight unrolled taps are faster with fewer outputs and more threads.
  bool unrolled_half() const {
    return vectors && taps == 8;
  }
  /// Neighbouring coefficients of a thread.
  int outputs() const {
    return fine ? 2 : unrolled_half() ? wide_outputs() / 2 : wide_outputs();
  }
};

/// The instantiation for a signal, and its shape.
TileKernel choose_kernel(
    Dtype type,
    bool vectors,
    bool per_channel,
    bool wide,
    int taps,
    int64_t batch,
    int64_t length,
    int64_t channels,
    Shape& shape);

/// Filters up to this length fit beside their tables, whatever the dtype.
int most_taps(const Device& device);

/// Rows of a sweep, rows that fit, tiles wanted. Where long filters leave no
/// room, fewer channels share a tile.
TileLimits tile_limits(
    const TileKernel& kernel,
    int taps,
    const Device& device,
    Shape& shape);

cudaError_t
launch(const AnalysisParams& params, const TileKernel& kernel, cudaStream_t s);
cudaError_t
launch(const SynthesisParams& params, const TileKernel& kernel, cudaStream_t s);

} // namespace signalllm::cuda
