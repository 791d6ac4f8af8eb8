#include <signalllm/data/tokenizer.h>

#include "data/in_vocabulary.h"
#include "data/utf8.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <unordered_set>

namespace signalllm::data {
namespace {

std::vector<char32_t> characters_of(std::string_view text) {
  std::unordered_set<char32_t> seen;
  std::bitset<128> ascii; // most text is, and the hash set is slow
  for (std::size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    if (character < 128) {
      ascii.set(character);
    } else {
      seen.insert(character);
    }
  }
  std::vector<char32_t> characters(seen.begin(), seen.end());
  for (char32_t character = 0; character < 128; ++character) {
    if (ascii.test(character)) {
      characters.push_back(character);
    }
  }
  return characters;
}

template <typename T>
at::Tensor as_tensor(const std::vector<T>& values, at::ScalarType dtype) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, dtype);
  if (!values.empty()) {
    std::memcpy(tensor.data_ptr(), values.data(), values.size() * sizeof(T));
  }
  return tensor;
}

} // namespace

Tokenizer::~Tokenizer() = default;

std::string ByteTokenizer::kind() const {
  return "bytes";
}

int64_t ByteTokenizer::vocab_size() const {
  return 256;
}

at::Tensor ByteTokenizer::encode(std::string_view text) const {
  auto tokens = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  if (!text.empty()) {
    std::memcpy(tokens.data_ptr(), text.data(), text.size());
  }
  return tokens;
}

std::string ByteTokenizer::decode(const at::Tensor& tokens) const {
  const auto bytes = in_vocabulary(tokens, 256).to(at::kByte);
  return {
      reinterpret_cast<const char*>(bytes.const_data_ptr()),
      static_cast<std::size_t>(bytes.numel())};
}

at::Tensor ByteTokenizer::token_bytes() const {
  return at::full({256}, 1, at::kLong);
}

std::string ByteTokenizer::to_json() const {
  return R"({"kind": "bytes"})";
}

CharTokenizer::CharTokenizer(std::string_view text)
    : CharTokenizer(characters_of(text)) {}

CharTokenizer::CharTokenizer(std::vector<char32_t> characters)
    : characters_(std::move(characters)) {
  std::sort(characters_.begin(), characters_.end());
  characters_.erase(
      std::unique(characters_.begin(), characters_.end()), characters_.end());
  TORCH_CHECK(
      !characters_.empty(), "CharTokenizer: the text has no characters");
}

std::string CharTokenizer::kind() const {
  return "chars";
}

int64_t CharTokenizer::vocab_size() const {
  return static_cast<int64_t>(characters_.size());
}

at::Tensor CharTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  tokens.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const auto start = position;
    const char32_t character = next_character(text, position);
    const auto found =
        std::lower_bound(characters_.begin(), characters_.end(), character);
    TORCH_CHECK(
        found != characters_.end() && *found == character,
        "CharTokenizer::encode: the character ",
        show_character(character),
        " at offset ",
        start,
        " is not among the ",
        characters_.size(),
        " that the tokenizer was made from");
    tokens.push_back(static_cast<int32_t>(found - characters_.begin()));
  }
  auto encoded = as_tensor(tokens, at::kInt);
  return vocab_size() <= 256 ? encoded.to(at::kByte) : encoded;
}

std::string CharTokenizer::decode(const at::Tensor& tokens) const {
  const auto flat = in_vocabulary(tokens, vocab_size());
  const auto* numbers = flat.const_data_ptr<int64_t>();
  std::string text;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    append_utf8(text, characters_[numbers[i]]);
  }
  return text;
}

at::Tensor CharTokenizer::token_bytes() const {
  std::vector<int64_t> bytes;
  for (const char32_t character : characters_) {
    std::string text;
    append_utf8(text, character);
    bytes.push_back(static_cast<int64_t>(text.size()));
  }
  return as_tensor(bytes, at::kLong);
}

std::string CharTokenizer::to_json() const {
  std::string characters;
  for (const char32_t character : characters_) {
    append_utf8(characters, character);
  }
  return nlohmann::json{{"kind", "chars"}, {"characters", characters}}.dump();
}

} // namespace signalllm::data
