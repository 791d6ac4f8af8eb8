#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace signalllm::cuda {

/// Everything contiguous, on the device.
struct FourierTapsParams {
  const float* terms = nullptr; // [2M + 1, C]
  const float* log_decay = nullptr; // [C]
  const float* frequency = nullptr; // [C]; null where `whole` has them
  const int64_t* whole = nullptr;
  /// Scratch `[kTapsPlanes, M, C, 4]`: what depends on a wave alone.
  float* waves = nullptr;
  float* taps = nullptr; // [L, C]
  /// Backward: the gradient of the taps, a share `[splits, chunks,
  /// kTapsRows, C]` of the sums from each block, and the results.
  const float* grad = nullptr;
  float* shares = nullptr;
  float* grad_terms = nullptr; // [2M + 1, C]
  float* grad_log_decay = nullptr; // [C]
  int length = 1, channels = 1, terms_count = 0; // L, C, M
  int splits = 1; // of the length, backward
  int64_t period = 1; // N
};

inline constexpr int kTapsPlanes = 5;
inline constexpr int kTapsTile = 64; // positions of a thread
inline constexpr int kTapsWarps = 8; // of a block, backward
inline constexpr int kTapsChunk = 16; // harmonics of a block, backward
inline constexpr int kTapsRows = 2 * kTapsChunk + 2; // sums of a block
inline constexpr int64_t kTapsPeriod = int64_t{1} << 30; // at most

/// Blocks of harmonics and of positions of the backward sums, which fix their
/// order: a matter of the shapes alone.
int fourier_taps_chunks(int terms_count);
int fourier_taps_splits(int64_t length, int64_t channels);

/// Fills the scratch; both directions do so first.
cudaError_t make_waves(const FourierTapsParams& params, cudaStream_t stream);
cudaError_t launch(const FourierTapsParams& params, cudaStream_t stream);
cudaError_t launch_backward(
    const FourierTapsParams& params,
    cudaStream_t stream);

} // namespace signalllm::cuda
