#include "data/in_vocabulary.h"

#include <c10/util/Exception.h>

namespace signalllm::data {

at::Tensor in_vocabulary(const at::Tensor& tokens, int64_t vocab_size) {
  auto flat = tokens.to(at::kCPU, at::kLong).reshape({-1});
  if (flat.numel() > 0) {
    const auto low = flat.min().item<int64_t>();
    const auto high = flat.max().item<int64_t>();
    TORCH_CHECK(
        low >= 0 && high < vocab_size,
        "Tokenizer::decode: token ",
        low < 0 ? low : high,
        " is outside 0 to ",
        vocab_size - 1);
  }
  return flat.contiguous();
}

} // namespace signalllm::data
