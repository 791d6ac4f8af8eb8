#include "strict_json.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <set>
#include <vector>

namespace signalllm {

using Json = nlohmann::json;

namespace {

constexpr int deepest = 32; // writing JSON recurses

} // namespace

Json parse_json_object(const std::string& where, std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (
        event == Json::parse_event_t::key &&
        !keys.back().insert(value.get<std::string>()).second) {
      twice = value.get<std::string>();
    }
    deep = deep || depth > deepest;
    return depth <= deepest; // deeper values are not kept
  };
  auto json = Json::parse(text, watch, /*allow_exceptions=*/false);
  TORCH_CHECK(
      !deep, where, ": damaged: nested deeper than ", deepest, " levels");
  TORCH_CHECK(json.is_object(), where, ": damaged: not a JSON object");
  TORCH_CHECK(twice.empty(), where, ": damaged: names '", twice, "' twice");
  return json;
}

} // namespace signalllm
