#include "data/base64.h"
#include "strict_json.h"

#include <signalllm/data/tokenizer.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace signalllm::data {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  TORCH_CHECK(in && text, "read_tokenizer: cannot read ", path);
  return text.str();
}

} // namespace

std::shared_ptr<Tokenizer> Tokenizer::from_json(const std::string& text) {
  const auto json = parse_json_object("Tokenizer::from_json", text);
  const auto field = [&](const char* name) -> std::string {
    return json.contains(name) && json[name].is_string()
        ? json[name].get<std::string>()
        : "";
  };
  const auto kind = field("kind");
  if (kind == "bytes") {
    return std::make_shared<ByteTokenizer>();
  }
  if (kind == "numbers" && json.contains("vocab_size") &&
      json["vocab_size"].is_number_integer()) {
    return std::make_shared<NumberTokenizer>(json["vocab_size"].get<int64_t>());
  }
  if (kind == "sentencepiece" && !field("model").empty()) {
    return std::make_shared<SentencePieceTokenizer>(
        from_base64(field("model")));
  }
  TORCH_CHECK(
      kind == "chars" && !field("characters").empty(),
      "Tokenizer::from_json: expected {\"kind\": \"bytes\"}, {\"kind\": "
      "\"chars\", \"characters\": \"...\"}, {\"kind\": \"sentencepiece\", "
      "\"model\": \"...\"} or {\"kind\": \"numbers\", \"vocab_size\": 9}, got ",
      text.substr(0, 60));
  return std::make_shared<CharTokenizer>(field("characters"));
}

std::shared_ptr<Tokenizer> read_tokenizer(const std::string& path) {
  std::error_code ignored;
  TORCH_CHECK(
      std::filesystem::is_regular_file(path, ignored),
      "read_tokenizer: no such file: ",
      path);
  const auto content = content_of(path);
  if (std::filesystem::path(path).extension() == ".model") {
    return std::make_shared<SentencePieceTokenizer>(content);
  }
  const auto json = parse_json_object(path, content);
  TORCH_CHECK(
      !json.contains("added_tokens"),
      path,
      ": the format of Hugging Face's tokenizers, which have no C++ library; "
      "tokenize with them in Python and train on the token file");
  const bool beside =
      json.contains("tokenizer") && json["tokenizer"].is_object();
  try {
    return Tokenizer::from_json(beside ? json["tokenizer"].dump() : content);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, path, ": ", error.what_without_backtrace());
  }
}

std::shared_ptr<Tokenizer> make_tokenizer(
    std::string_view kind,
    std::string_view text,
    int64_t vocab_size) {
  if (kind == "bytes") {
    return std::make_shared<ByteTokenizer>();
  }
  if (kind == "chars") {
    return std::make_shared<CharTokenizer>(text);
  }
  if (kind == "sentencepiece") {
    return SentencePieceTokenizer::train(text, vocab_size);
  }
  TORCH_CHECK(
      kind.find_first_of("./") != kind.npos,
      "make_tokenizer: unknown tokenizer '",
      kind,
      "'; there are bytes, chars and sentencepiece, or a file's name (.model, "
      ".json)");
  return read_tokenizer(std::string(kind));
}

} // namespace signalllm::data
