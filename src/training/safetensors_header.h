#pragma once

#include <c10/core/ScalarType.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace signalllm::training {

/// One tensor as the header of a safetensors file describes it: the bytes
/// `[begin, end)` behind the header.
struct TensorEntry {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
  int64_t begin;
  int64_t end;
};

struct SafeTensorsHeader {
  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
};

/// Checks everything that the header says against itself and against the
/// `data_size` bytes behind it; `path` is for the messages.
SafeTensorsHeader
parse_header(const std::string& path, std::string_view json, int64_t data_size);

/// The header's JSON, padded with blanks to a multiple of eight bytes.
std::string write_header(const SafeTensorsHeader& header);

/// Throws where the format has no such type.
const char* dtype_name(at::ScalarType dtype);

} // namespace signalllm::training
