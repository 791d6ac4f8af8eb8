#include "training/checkpoint_state.h"

#include "strict_json.h"
#include "training/durable_file.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace signalllm::training {

using Json = nlohmann::json;

FilePrint fingerprint(const std::string& path) {
  const MappedFile file("RunFolder", path);
  const auto size = static_cast<std::size_t>(file.size());
  return {size, crc32c({file.data(), size})};
}

std::string write_state(const CheckpointState& state) {
  Json json{
      {"step", state.step},
      {"files", Json::object()},
      {"state", Json::parse(state.state)}};
  for (const auto& [name, print] : state.files) {
    json["files"][name] = {{"bytes", print.bytes}, {"crc32c", print.crc32c}};
  }
  json["crc32c"] = crc32c(json.dump());
  return json.dump(2) + "\n";
}

CheckpointState read_state(const std::string& where, const std::string& text) {
  auto json = parse_json_object(where, text);
  const auto natural =
      [&](const Json& object, const char* key, uint64_t largest) {
        TORCH_CHECK(
            object.is_object() && object.contains(key) &&
                object[key].is_number_unsigned() &&
                object[key].get<uint64_t>() <= largest,
            where,
            ": damaged: not the state of a checkpoint, which has a whole "
            "number '",
            key,
            "'");
        return object[key].get<uint64_t>();
      };
  constexpr uint64_t word = std::numeric_limits<uint32_t>::max();
  constexpr uint64_t number = std::numeric_limits<int64_t>::max();
  const auto expected = natural(json, "crc32c", word);
  json.erase("crc32c");
  // Names may hold bytes that are no UTF-8, where dump() would throw.
  TORCH_CHECK(
      crc32c(json.dump(-1, ' ', false, Json::error_handler_t::replace)) ==
          expected,
      where,
      ": damaged: wrong checksum");
  CheckpointState state;
  state.step = static_cast<int64_t>(natural(json, "step", number));
  TORCH_CHECK(
      json.contains("files") && json["files"].is_object() &&
          json.contains("state"),
      where,
      ": damaged: not the state of a checkpoint, which has files and state");
  for (const auto& [name, print] : json["files"].items()) {
    state.files[name] = {
        natural(print, "bytes", number),
        static_cast<uint32_t>(natural(print, "crc32c", word))};
  }
  state.state = json["state"].dump();
  return state;
}

} // namespace signalllm::training
