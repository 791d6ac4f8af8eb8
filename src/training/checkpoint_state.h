#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace signalllm::training {

/// Size and checksum of a file of a checkpoint.
struct FilePrint {
  uint64_t bytes = 0;
  uint32_t crc32c = 0;

  bool operator==(const FilePrint&) const = default;
};

/// The print of a file as the disk has it.
FilePrint fingerprint(const std::string& path);

/// What `state.json` of a checkpoint holds.
struct CheckpointState {
  int64_t step = 0;
  std::map<std::string, FilePrint> files;
  /// JSON of whoever trains.
  std::string state = "{}";
};

/// As JSON with a checksum over itself.
std::string write_state(const CheckpointState& state);

/// Inverse; throws `c10::Error` that begins with `where` for text that
/// `write_state` did not write, or that has changed since.
CheckpointState read_state(const std::string& where, const std::string& text);

} // namespace signalllm::training
