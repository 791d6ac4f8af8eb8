#include "data/in_vocabulary.h"

#include <signalllm/data/tokenizer.h>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <system_error>
#include <vector>

namespace signalllm::data {

NumberTokenizer::NumberTokenizer(int64_t vocab_size) : vocab_size_(vocab_size) {
  TORCH_CHECK(
      vocab_size >= 1 && vocab_size <= int64_t{1} << 31,
      "NumberTokenizer: vocab_size is ",
      vocab_size,
      "; it must be 1 to 2^31");
}

std::string NumberTokenizer::kind() const {
  return "numbers";
}

int64_t NumberTokenizer::vocab_size() const {
  return vocab_size_;
}

at::Tensor NumberTokenizer::encode(std::string_view text) const {
  std::vector<int64_t> numbers;
  constexpr std::string_view spaces = " \t\r\n";
  for (auto at = text.find_first_not_of(spaces); at != text.npos;
       at = text.find_first_not_of(spaces, at)) {
    const auto word = text.substr(at, text.find_first_of(spaces, at) - at);
    int64_t number = -1;
    const auto [end, error] =
        std::from_chars(word.data(), word.data() + word.size(), number);
    TORCH_CHECK(
        error == std::errc() && end == word.data() + word.size() &&
            number >= 0 && number < vocab_size_,
        "NumberTokenizer::encode: '",
        word.substr(0, 40),
        "' at offset ",
        at,
        " is no token; they are the numbers 0 to ",
        vocab_size_ - 1);
    numbers.push_back(number);
    at += word.size();
    if (at >= text.size()) {
      break;
    }
  }
  return at::tensor(numbers, at::kLong)
      .to(vocab_size_ <= 256 ? at::kByte : at::kInt);
}

std::string NumberTokenizer::decode(const at::Tensor& tokens) const {
  const auto flat = in_vocabulary(tokens, vocab_size_);
  const auto* numbers = flat.const_data_ptr<int64_t>();
  std::string text;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    text += std::to_string(numbers[i]) + " ";
  }
  return text;
}

at::Tensor NumberTokenizer::token_bytes() const {
  return at::full({vocab_size_}, 1, at::kLong);
}

std::string NumberTokenizer::to_json() const {
  return nlohmann::json{{"kind", kind()}, {"vocab_size", vocab_size_}}.dump();
}

} // namespace signalllm::data
