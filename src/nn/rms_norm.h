#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/rms_norm.h>

namespace signalllm {

/// Root-mean-square norm over the last axis, without a gain. torch's fused one
/// has no backward kernel for MPS, nor for what else is not CUDA, where it is
/// composed as here.
inline at::Tensor rms_norm(const at::Tensor& x) {
  constexpr double epsilon = 1e-6;
  if (!x.device().is_mps()) {
    return at::rms_norm(x, {x.size(-1)}, {}, epsilon);
  }
  const auto wide = x.to(at::toOpMathType(x.scalar_type()));
  const auto power = wide.square().mean(-1, /*keepdim=*/true);
  return (wide * (power + epsilon).rsqrt()).to(x.scalar_type());
}

} // namespace signalllm
