#include "nn/fourier_waves.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <numbers>

namespace signalllm::fourier {

std::pair<at::Tensor, at::Tensor> waves(
    int64_t length,
    int64_t terms,
    int64_t octaves,
    int64_t n,
    const at::TensorOptions& like) {
  auto integer = like.dtype(at::kLong);
  auto t = at::arange(length, integer).unsqueeze(1);
  auto m = at::arange(terms + 1, integer);
  if (octaves > 0) {
    auto octave = at::arange(octaves + 1, integer).unsqueeze(1);
    m = m.bitwise_left_shift(octave).flatten();
  }
  auto angle = (t * m).remainder(2 * n).to(like.dtype()) *
      (std::numbers::pi / static_cast<double>(n));
  return {angle.cos(), angle.sin()};
}

at::Tensor
spread(const at::Tensor& harmonics, const at::Tensor& rows, int64_t waves) {
  auto sizes = harmonics.sizes().vec();
  const auto index = rows.expand(sizes);
  sizes[sizes.size() - 2] = waves;
  return at::zeros(sizes, harmonics.options().requires_grad(false))
      .scatter(-2, index, harmonics);
}

at::Tensor collect(const at::Tensor& waves, const at::Tensor& rows) {
  auto sizes = waves.sizes().vec();
  sizes[sizes.size() - 2] = rows.size(0);
  return waves.gather(-2, rows.expand(sizes));
}

at::Tensor decay(
    const at::Tensor& log_decay,
    int64_t length,
    int64_t n,
    const at::TensorOptions& like) {
  auto t = at::arange(length, like).unsqueeze(1) / static_cast<double>(n);
  return (-t * log_decay.to(like.dtype()).exp()).exp();
}

} // namespace signalllm::fourier
