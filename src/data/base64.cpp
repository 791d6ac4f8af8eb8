#include "data/base64.h"

#include <c10/util/Exception.h>

#include <cstdint>

namespace signalllm::data {
namespace {

constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 |
          (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i])
                                 : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += at + i > bytes.size() ? '=' : digits[group >> (18 - 6 * i) & 63];
    }
  }
  return text;
}

std::string from_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto digit = digits.find(text[at]);
    group = group << 6 | (digit == digits.npos ? 0U : digit);
    if (at % 4 == 3) {
      bytes +=
          {static_cast<char>(group >> 16),
           static_cast<char>(group >> 8),
           static_cast<char>(group)};
      group = 0;
    }
  }
  if (text.ends_with("=")) {
    bytes.resize(bytes.size() - (text.ends_with("==") ? 2 : 1));
  }
  TORCH_CHECK(to_base64(bytes) == text, "not base64: ", text.substr(0, 40));
  return bytes;
}

} // namespace signalllm::data
