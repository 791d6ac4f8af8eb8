#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <stdlib.h>

/// What libFuzzer, or replay.cpp in its place, calls with every input. Readers
/// may refuse it with a c10::Error; anything else that they throw, and every
/// access outside of their memory, is a fault.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace signalllm::fuzz {

/// The folder that this process writes to, in memory where the system has it.
inline const std::string& folder() {
  struct Folder {
    std::string path;
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder{[] {
    const auto base = std::filesystem::is_directory("/dev/shm")
        ? std::filesystem::path("/dev/shm")
        : std::filesystem::temp_directory_path();
    auto name = (base / "signalllm-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("no temporary folder");
    }
    return name;
  }()};
  return folder.path;
}

/// Writes a file of the folder and returns its path.
inline std::string write(const std::string& name, std::string_view bytes) {
  const auto path = folder() + "/" + name;
  std::filesystem::create_directories(
      std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

} // namespace signalllm::fuzz
