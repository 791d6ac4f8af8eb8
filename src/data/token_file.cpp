#include <signalllm/data/token_file.h>

#include "strict_json.h"
#include "training/durable_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <sys/mman.h>

#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace signalllm::data {

namespace fs = std::filesystem;

namespace {

static_assert(
    std::endian::native == std::endian::little,
    "token files have the lowest byte first");

struct Width {
  const char* name;
  at::ScalarType type;
  int64_t values;
};

constexpr std::array<Width, 3> widths = {{
    {"uint8", at::kByte, int64_t{1} << 8},
    {"uint16", at::kUInt16, int64_t{1} << 16},
    {"uint32", at::kUInt32, int64_t{1} << 32},
}};

const Width& width_of(const std::string& where, const std::string& name) {
  for (const auto& width : widths) {
    if (name == width.name) {
      return width;
    }
  }
  TORCH_CHECK(
      false,
      where,
      ": dtype is '",
      name,
      "'; there are uint8, uint16 and uint32");
}

/// Where what the numbers of `path` mean is written; "" if nowhere.
std::string description_of(const std::string& path) {
  const fs::path file(path);
  if (file.extension() != ".bin") {
    return "";
  }
  std::error_code error;
  for (const auto& json :
       {fs::path(file).replace_extension(".json"),
        file.parent_path() / "tokens.json"}) {
    if (fs::is_regular_file(json, error)) {
      return json.string();
    }
  }
  return "";
}

nlohmann::json read_description(const std::string& where) {
  std::ifstream in(where, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  TORCH_CHECK(in && text, "TokenFile: cannot read ", where);
  auto json = parse_json_object(where, text.str());
  for (const auto& [key, value] : json.items()) {
    const bool text_key = key == "dtype", object_key = key == "tokenizer";
    TORCH_CHECK(
        text_key || object_key || key == "vocab_size" || key == "tokens" ||
            key == "bytes",
        where,
        ": unknown key '",
        key,
        "'; there are dtype, tokenizer, vocab_size, tokens and bytes");
    TORCH_CHECK(
        text_key         ? value.is_string()
            : object_key ? value.is_object()
                         : value.is_number_unsigned(),
        where,
        ": ",
        key,
        " must be ",
        text_key         ? "a text"
            : object_key ? "an object"
                         : "a whole number of 0 or more");
  }
  TORCH_CHECK(
      json.contains("dtype") &&
          json.contains("tokenizer") != json.contains("vocab_size"),
      where,
      ": expected dtype, and one of tokenizer and vocab_size");
  return json;
}

std::shared_ptr<Tokenizer> tokenizer_from(
    const nlohmann::json& json,
    const std::string& where) {
  if (json.contains("vocab_size")) {
    return std::make_shared<NumberTokenizer>(json["vocab_size"].get<int64_t>());
  }
  try {
    return Tokenizer::from_json(json["tokenizer"].dump());
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, where, ": ", error.what_without_backtrace());
  }
}

} // namespace

bool is_token_file(const std::string& path) {
  return !description_of(path).empty();
}

TokenFile::TokenFile(std::string path) : path_(std::move(path)) {
  const auto where = description_of(path_);
  TORCH_CHECK(
      !where.empty(),
      "TokenFile: ",
      path_,
      " needs a name that ends in .bin, and beside it what its numbers mean: a "
      ".json of the same name, or tokens.json");
  const auto json = read_description(where);
  const auto& width = width_of(where, json["dtype"].get<std::string>());
  tokenizer_ = tokenizer_from(json, where);
  file_ = std::make_shared<training::MappedFile>("TokenFile", path_);
  const auto bytes = static_cast<int64_t>(c10::elementSize(width.type));
  const auto count = file_->size() / bytes;
  TORCH_CHECK(
      count > 0 && file_->size() % bytes == 0 &&
          (!json.contains("tokens") ||
           json["tokens"].get<uint64_t>() == static_cast<uint64_t>(count)),
      "TokenFile: ",
      path_,
      " has ",
      file_->size(),
      " bytes, but ",
      where,
      " says ",
      width.name,
      json.contains("tokens") ? " and " + json["tokens"].dump() + " tokens"
                              : "",
      "; the two must be of one text");
  TORCH_CHECK(
      tokenizer_->vocab_size() <= width.values,
      where,
      ": a vocabulary of ",
      tokenizer_->vocab_size(),
      " does not fit ",
      width.name);
  bytes_ = json.value("bytes", int64_t{0});
  // Windows lie anywhere: reading ahead would read what nobody wants.
  ::madvise(
      file_->data(), static_cast<std::size_t>(file_->size()), MADV_RANDOM);
  tokens_ = at::from_blob(
      file_->data(), {count}, [file = file_](void*) {}, width.type);
}

void TokenFile::release() const {
  ::madvise(
      file_->data(), static_cast<std::size_t>(file_->size()), MADV_DONTNEED);
}

TokenWriter::TokenWriter(
    std::string path,
    std::shared_ptr<Tokenizer> tokenizer,
    std::string dtype)
    : path_(std::move(path)), tokenizer_(std::move(tokenizer)),
      dtype_(std::move(dtype)) {
  const auto vocabulary = tokenizer_->vocab_size();
  if (dtype_.empty()) {
    dtype_ = widths[vocabulary <= widths[1].values ? 1 : 2].name;
  }
  const auto& width = width_of("TokenWriter", dtype_);
  TORCH_CHECK(
      vocabulary <= width.values,
      "TokenWriter: a vocabulary of ",
      vocabulary,
      " does not fit ",
      dtype_);
  check_name(path_);
  file_ = std::make_unique<training::DurableFile>("TokenWriter", path_);
}

TokenWriter::~TokenWriter() = default;

void TokenWriter::check_name(const std::string& path) {
  TORCH_CHECK(
      fs::path(path).extension() == ".bin",
      "TokenWriter: the name ",
      path,
      " must end in .bin");
  std::error_code ignored; // where we cannot look, writing says why
  for (const auto& file :
       {fs::path(path), fs::path(path).replace_extension(".json")}) {
    TORCH_CHECK(
        !fs::exists(file, ignored),
        "TokenWriter: ",
        file.string(),
        " is there already");
  }
}

void TokenWriter::add(std::string_view text) {
  const auto& width = width_of("TokenWriter", dtype_);
  const auto numbers = tokenizer_->encode(text).to(width.type).contiguous();
  file_->write(numbers.const_data_ptr(), numbers.nbytes());
  tokens_ += numbers.numel();
  bytes_ += static_cast<int64_t>(text.size());
}

void TokenWriter::finish() {
  TORCH_CHECK(tokens_ > 0, "TokenWriter: there is nothing to write to ", path_);
  file_->commit();
  const nlohmann::ordered_json json{
      {"dtype", dtype_},
      {"tokens", tokens_},
      {"bytes", bytes_},
      {"tokenizer", nlohmann::ordered_json::parse(tokenizer_->to_json())}};
  training::write_durably(
      "TokenWriter",
      fs::path(path_).replace_extension(".json").string(),
      json.dump() + "\n");
}

} // namespace signalllm::data
