#include "training/safetensors_header.h"

#include "strict_json.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace signalllm::training {
namespace {

using Json = nlohmann::json;

constexpr std::pair<at::ScalarType, const char*> dtypes[] = {
    {at::kDouble, "F64"},
    {at::kFloat, "F32"},
    {at::kHalf, "F16"},
    {at::kBFloat16, "BF16"},
    {at::kLong, "I64"},
    {at::kInt, "I32"},
    {at::kShort, "I16"},
    {at::kChar, "I8"},
    {at::kByte, "U8"},
    {at::kBool, "BOOL"},
    {at::kUInt16, "U16"},
    {at::kUInt32, "U32"},
    {at::kUInt64, "U64"},
    {at::kComplexFloat, "C64"},
    {at::kFloat8_e4m3fn, "F8_E4M3"},
    {at::kFloat8_e5m2, "F8_E5M2"}};

TensorEntry parse_entry(
    const std::string& path,
    const std::string& name,
    const Json& json) {
  const auto fault = [&](const char* what) {
    TORCH_CHECK(false, path, ": damaged: tensor '", name, "' ", what);
  };
  const auto natural = [](const Json& number) {
    return number.is_number_unsigned() &&
        number.get<uint64_t>() <=
        static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  };
  const auto naturals = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_array() &&
        std::all_of(json[key].begin(), json[key].end(), natural);
  };
  if (!naturals("shape") || !naturals("data_offsets") ||
      json["data_offsets"].size() != 2 || !json.contains("dtype") ||
      !json["dtype"].is_string()) {
    fault("has no proper dtype, shape and data_offsets");
  }
  const auto type_name = json["dtype"].get<std::string>();
  const auto* type =
      std::find_if(std::begin(dtypes), std::end(dtypes), [&](const auto& pair) {
        return pair.second == type_name;
      });
  if (type == std::end(dtypes)) {
    fault(("has the unknown type " + type_name).c_str());
  }
  TensorEntry entry{
      name,
      type->first,
      json["shape"].get<std::vector<int64_t>>(),
      json["data_offsets"][0].get<int64_t>(),
      json["data_offsets"][1].get<int64_t>()};
  auto bytes = static_cast<int64_t>(c10::elementSize(entry.dtype));
  const bool empty = std::count(entry.shape.begin(), entry.shape.end(), 0) > 0;
  for (const auto size : entry.shape) {
    if (!empty && __builtin_mul_overflow(bytes, size, &bytes)) {
      fault("is larger than memory can be");
    }
  }
  if (entry.begin > entry.end ||
      entry.end - entry.begin != (empty ? 0 : bytes)) {
    fault("has data_offsets that do not fit its shape");
  }
  return entry;
}

} // namespace

const char* dtype_name(at::ScalarType dtype) {
  for (const auto& [type, name] : dtypes) {
    if (type == dtype) {
      return name;
    }
  }
  TORCH_CHECK(false, "save_safetensors: the format has no type for ", dtype);
}

SafeTensorsHeader parse_header(
    const std::string& path,
    std::string_view text,
    int64_t data_size) {
  SafeTensorsHeader header;
  const auto json = parse_json_object(path, text);
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      header.tensors.push_back(parse_entry(path, name, value));
      continue;
    }
    TORCH_CHECK(value.is_object(), path, ": damaged: metadata is no object");
    for (const auto& [key, string] : value.items()) {
      TORCH_CHECK(
          string.is_string(), path, ": damaged: metadata '", key, "' no text");
      header.metadata[key] = string.get<std::string>();
    }
  }
  auto& tensors = header.tensors;
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t position = 0;
  for (const auto& entry : tensors) {
    TORCH_CHECK(
        entry.begin == position,
        path,
        ": damaged: tensor '",
        entry.name,
        entry.begin < position ? "' overlaps another" : "' follows a gap");
    position = entry.end;
  }
  TORCH_CHECK(
      position == data_size,
      path,
      position > data_size ? ": truncated: " : ": damaged: ",
      "the tensors take ",
      position,
      " bytes, the file has ",
      data_size);
  return header;
}

std::string write_header(const SafeTensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) {
    json["__metadata__"] = header.metadata;
  }
  for (const auto& entry : header.tensors) {
    json[entry.name] = {
        {"dtype", dtype_name(entry.dtype)},
        {"shape", entry.shape},
        {"data_offsets", {entry.begin, entry.end}}};
  }
  auto text = json.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

} // namespace signalllm::training
