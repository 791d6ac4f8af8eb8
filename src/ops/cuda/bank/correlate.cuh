#pragma once

#include "tile_block.cuh"

#include "ops/cuda/dtype.h"

#include <cuda_runtime_api.h>

namespace signalllm::cuda {

/// out[part][b][c][k] = sum over the part's rows (n, o) of
/// g_b[n, o, c] ext(x)[n, step o + offset - dilation k, c], b = 0 (and 1).
struct CorrelateParams {
  const void* g[2] = {};
  const void* x = nullptr;
  bool wide_g[2] = {};
  bool wide_x = false;
  void* out = nullptr;
  Border border = Border::zero;
  int step = 1, offset = 0, dilation = 1;
  int64_t batch = 0;
  int g_rows[2] = {}; // rows stored, of which `count` are used
  int count = 0, length = 0, channels = 0, taps = 0;
  int parts = 1;
};

cudaError_t
launch(const CorrelateParams& params, Dtype type, cudaStream_t stream);

} // namespace signalllm::cuda
