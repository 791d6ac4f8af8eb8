#pragma once

#include "nn/token_check.h"

namespace signalllm {

/// Throws unless they are what `SignalLLM` takes.
inline void check_tokens(
    const char* function,
    const at::Tensor& tokens,
    int64_t vocab_size) {
  TORCH_CHECK(
      tokens.dim() == 2 && tokens.size(1) >= 1 &&
          tokens.scalar_type() == at::kLong,
      function,
      ": tokens are ",
      tokens.scalar_type(),
      " of shape ",
      tokens.sizes(),
      ", they must be int64 [batch, length] with length >= 1");
  check_token_range(function, tokens, "vocab_size", vocab_size);
}

} // namespace signalllm
