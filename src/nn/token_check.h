#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/aminmax.h>
#include <c10/util/Exception.h>

#include <cstdint>

namespace signalllm {

/// Throws where `tokens` are not 0 to `count - 1`. Looks on the CPU only:
/// elsewhere that would wait for the device.
inline void check_token_range(
    const char* function,
    const at::Tensor& tokens,
    const char* count_name,
    int64_t count) {
  if (!tokens.is_cpu() || tokens.numel() == 0) {
    return;
  }
  const auto [low, high] = tokens.aminmax();
  const auto first = low.item<int64_t>(), last = high.item<int64_t>();
  TORCH_CHECK(
      first >= 0 && last < count,
      function,
      ": tokens hold ",
      first < 0 ? first : last,
      ", allowed are 0 to ",
      count_name,
      " - 1 = ",
      count - 1);
}

} // namespace signalllm
