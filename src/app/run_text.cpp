#include "app/run_text.h"

#include "strict_json.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace signalllm::app {
namespace {

constexpr const char* record_name = "text.json";

struct TextRecord {
  uint64_t train = 0;
  uint64_t valid = 0;
  std::string checksum;

  bool operator==(const TextRecord&) const = default;
};

/// FNV-1a of 64 bits over both parts.
TextRecord record_of(const data::Corpus& corpus) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const auto* part : {&corpus.train, &corpus.valid}) {
    for (const unsigned char byte : *part) {
      hash = (hash ^ byte) * 0x100000001b3;
    }
  }
  return {
      corpus.train.size(), corpus.valid.size(), fmt::format("{:016x}", hash)};
}

std::string describe(const TextRecord& record) {
  return fmt::format(
      "{} bytes to learn and {} held out (checksum {})",
      record.train,
      record.valid,
      record.checksum);
}

} // namespace

void record_text(
    const training::RunFolder& folder,
    const data::Corpus& corpus) {
  const auto record = record_of(corpus);
  folder.write_text(
      record_name,
      nlohmann::ordered_json{
          {"train_bytes", record.train},
          {"valid_bytes", record.valid},
          {"fnv1a64", record.checksum}}
              .dump(2) +
          "\n");
}

bool has_text_record(const training::RunFolder& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder.file(record_name), ignored);
}

void check_text(
    const training::RunFolder& folder,
    const data::Corpus& corpus,
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
  const auto now = record_of(corpus);
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
