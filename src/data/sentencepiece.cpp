#include "data/base64.h"
#include "data/in_vocabulary.h"
#include "data/pieces.h"
#include "data/utf8.h"

#include <signalllm/data/tokenizer.h>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <utility>

namespace signalllm::data {
namespace {

/// Loaded when first asked for: who does without needs no SentencePiece.
const PieceLibrary& piece_library() {
  static const auto* library = []() -> const PieceLibrary* {
    Dl_info self{};
    if (::dladdr(reinterpret_cast<void*>(&piece_library), &self) == 0) {
      return nullptr;
    }
    const auto plugin = std::filesystem::path(self.dli_fname)
                            .replace_filename("libsignalllm_sentencepiece.so");
    void* handle = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      return nullptr;
    }
    using Entry = decltype(&signalllm_piece_library);
    const auto entry =
        reinterpret_cast<Entry>(::dlsym(handle, "signalllm_piece_library"));
    return entry == nullptr ? nullptr : entry();
  }();
  TORCH_CHECK(
      library != nullptr,
      "sentencepiece: this build does without it; install SentencePiece "
      "(Debian: libsentencepiece-dev) and configure anew");
  return *library;
}

template <typename Call>
auto with_message(const char* what, const Call& call) {
  try {
    return call();
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "sentencepiece: ", what, ": ", error.what());
  }
}

/// What the library would replace without a word.
void check_utf8(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    next_character(text, position);
  }
}

/// Behind a line's end once `least` bytes are reached: the model's work grows
/// faster than the text.
std::string_view take_piece(std::string_view& text, std::size_t least) {
  const auto end = text.size() <= least ? text.npos : text.find('\n', least);
  const auto piece = text.substr(0, end == text.npos ? end : end + 1);
  text.remove_prefix(piece.size());
  return piece;
}

/// Lines of up to `most` bytes in all, evenly from the whole text.
std::vector<std::string_view> sample_lines(
    std::string_view text,
    std::size_t most) {
  const auto share = std::max<std::size_t>(1, (text.size() + most - 1) / most);
  std::vector<std::string_view> lines;
  for (std::size_t number = 0; !text.empty(); ++number) {
    auto line = take_piece(text, 0);
    if (number % share == 0 && line != "\n") {
      lines.push_back(line.substr(0, line.size() - line.ends_with('\n')));
    }
  }
  return lines;
}

constexpr std::size_t encoded_at_once = 1 << 16;
constexpr std::size_t learned_bytes = 1 << 24;

} // namespace

SentencePieceTokenizer::SentencePieceTokenizer(std::string model)
    : bytes_(std::move(model)) {
  const auto& library = piece_library();
  model_ = with_message(
      "cannot load the model", [&] { return library.load(bytes_); });
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

std::shared_ptr<SentencePieceTokenizer> SentencePieceTokenizer::train(
    std::string_view text,
    int64_t vocab_size) {
  TORCH_CHECK(
      vocab_size > 257 && vocab_size <= std::numeric_limits<int>::max(),
      "sentencepiece: vocab_size is ",
      vocab_size,
      "; more than the 256 bytes and the unknown");
  check_utf8(text);
  const auto lines = sample_lines(text, learned_bytes);
  TORCH_CHECK(!lines.empty(), "sentencepiece: the text has no lines");
  const auto& library = piece_library();
  return std::make_shared<SentencePieceTokenizer>(
      with_message("cannot train a model", [&] {
        return library.train(lines, static_cast<int>(vocab_size));
      }));
}

std::string SentencePieceTokenizer::kind() const {
  return "sentencepiece";
}

int64_t SentencePieceTokenizer::vocab_size() const {
  return model_->size();
}

at::Tensor SentencePieceTokenizer::encode(std::string_view text) const {
  check_utf8(text);
  std::vector<int> numbers;
  with_message("cannot encode", [&] {
    while (!text.empty()) {
      model_->encode(take_piece(text, encoded_at_once), numbers);
    }
    return true;
  });
  auto tokens = at::empty({static_cast<int64_t>(numbers.size())}, at::kInt);
  std::copy(numbers.begin(), numbers.end(), tokens.mutable_data_ptr<int>());
  return tokens;
}

std::string SentencePieceTokenizer::decode(const at::Tensor& tokens) const {
  const auto flat = in_vocabulary(tokens, vocab_size());
  const auto* numbers = flat.const_data_ptr<int64_t>();
  std::string text;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    text += model_->text(static_cast<int>(numbers[i]));
  }
  return text;
}

at::Tensor SentencePieceTokenizer::token_bytes() const {
  auto bytes = at::empty({vocab_size()}, at::kLong);
  for (int i = 0; i < model_->size(); ++i) {
    bytes.mutable_data_ptr<int64_t>()[i] =
        static_cast<int64_t>(model_->text(i).size());
  }
  return bytes;
}

std::string SentencePieceTokenizer::to_json() const {
  return nlohmann::json{{"kind", kind()}, {"model", to_base64(bytes_)}}.dump();
}

} // namespace signalllm::data
