#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

/// The kernels of `FourierConvolutionAttention` are sums of waves. Channels
/// have harmonics m = 0..M of their own octave s = 2^j; the waves of all
/// octaves stand one octave behind the other, wave j (M + 1) + m.
namespace signalllm::fourier {

/// cos and sin of pi m s t / n for t < length, m = 0..terms and s = 1, 2, 4 ..
/// 2^octaves, `[length, (octaves + 1) (terms + 1)]`. The product m s t is
/// reduced as an integer, exact for any t.
std::pair<at::Tensor, at::Tensor> waves(
    int64_t length,
    int64_t terms,
    int64_t octaves,
    int64_t n,
    const at::TensorOptions& like);

/// Rows of harmonics `[..., M + 1, D]` to rows of waves: zero where a channel
/// has none. `rows` `[M + 1, D]` says which wave a harmonic is.
at::Tensor
spread(const at::Tensor& harmonics, const at::Tensor& rows, int64_t waves);

/// The transpose of `spread`.
at::Tensor collect(const at::Tensor& waves, const at::Tensor& rows);

/// exp(-lambda t / n) for t < length, `[length, channels]`.
at::Tensor decay(
    const at::Tensor& log_decay,
    int64_t length,
    int64_t n,
    const at::TensorOptions& like);

} // namespace signalllm::fourier
