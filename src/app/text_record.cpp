#include "app/run_text.h"

#include "strict_json.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace signalllm::app {
namespace {

constexpr const char* record_name = "text.json";

struct TextRecord {
  uint64_t train = 0;
  uint64_t valid = 0;
  std::string checksum;

  bool operator==(const TextRecord&) const = default;
};

/// FNV-1a of 64 bits.
class Checksum {
 public:
  void add(std::string_view bytes) {
    for (const unsigned char byte : bytes) {
      hash_ = (hash_ ^ byte) * 0x100000001b3;
    }
  }
  std::string str() const {
    return fmt::format("{:016x}", hash_);
  }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

constexpr std::size_t read_whole = std::size_t{1} << 26;
constexpr std::size_t parts = 1024, part_bytes = 4096;

/// All bytes of a part of a token file, or of a large one some all over it. The
/// system maps more than the bytes that are read, hence the releases.
void add_tokens(Checksum& sum, const at::Tensor& tokens, const RunText& text) {
  const std::string_view bytes(
      static_cast<const char*>(tokens.const_data_ptr()), tokens.nbytes());
  if (bytes.size() <= read_whole) {
    sum.add(bytes);
    return;
  }
  for (std::size_t part = 0; part < parts; ++part) {
    sum.add(bytes.substr(
        (bytes.size() - part_bytes) / (parts - 1) * part, part_bytes));
    if (part % 128 == 0) {
      text.release();
    }
  }
}

TextRecord record_of(const RunText& text) {
  Checksum sum;
  if (text.token_files.empty()) {
    sum.add(text.corpus.train);
    sum.add(text.corpus.valid);
    return {text.corpus.train.size(), text.corpus.valid.size(), sum.str()};
  }
  add_tokens(sum, text.train, text);
  add_tokens(sum, text.valid, text);
  text.release();
  return {text.train.nbytes(), text.valid.nbytes(), sum.str()};
}

std::string describe(const TextRecord& record) {
  return fmt::format(
      "{} bytes to learn and {} held out (checksum {})",
      record.train,
      record.valid,
      record.checksum);
}

} // namespace

void record_text(const training::RunFolder& folder, const RunText& text) {
  const auto record = record_of(text);
  folder.write_text(
      record_name,
      nlohmann::ordered_json{
          {"train_bytes", record.train},
          {"valid_bytes", record.valid},
          {"fnv1a64", record.checksum}}
              .dump(2) +
          "\n");
}

std::string fingerprint(const RunText& text) {
  return describe(record_of(text));
}

bool has_text_record(const training::RunFolder& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder.file(record_name), ignored);
}

void check_text(
    const training::RunFolder& folder,
    const RunText& text,
    const std::string& path,
    const std::string& remedy) {
  if (!has_text_record(folder)) {
    return;
  }
  const auto where = folder.file(record_name);
  const auto json = parse_json_object(where, folder.read_text(record_name));
  TORCH_CHECK(
      json.contains("train_bytes") &&
          json["train_bytes"].is_number_unsigned() &&
          json.contains("valid_bytes") &&
          json["valid_bytes"].is_number_unsigned() &&
          json.contains("fnv1a64") && json["fnv1a64"].is_string(),
      where,
      ": damaged: expected train_bytes, valid_bytes and fnv1a64");
  const TextRecord then{
      json["train_bytes"].get<uint64_t>(),
      json["valid_bytes"].get<uint64_t>(),
      json["fnv1a64"].get<std::string>()};
  const auto now = record_of(text);
  TORCH_CHECK(
      now == then,
      "the text of ",
      folder.path(),
      " was ",
      describe(then),
      " when the run began; ",
      path,
      " has ",
      describe(now),
      "; ",
      remedy);
}

} // namespace signalllm::app
