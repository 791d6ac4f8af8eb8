#include "app/compression.h"

#include "app/external.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace signalllm::app {
namespace {

/// The bytes that a compressor needs for the file, by the program or else by
/// Python's module of the same algorithm.
std::optional<double> compressed_size(
    const std::string& program,
    const std::string& path) {
  if (const auto out = capture({program, "-9", "-c", path})) {
    return static_cast<double>(out->size());
  }
  const std::string call = program == "gzip"
      ? "import gzip; print(len(gzip.compress(data, 9)))"
      : "import lzma; print(len(lzma.compress(data, preset=9)))";
  if (const auto python = find_python()) {
    if (const auto out = capture(
            {*python,
             "-c",
             "import sys; data = open(sys.argv[1], 'rb').read(); " + call,
             path})) {
      return std::stod(*out);
    }
  }
  return std::nullopt;
}

/// A file that is gone with the object.
class Scratch {
 public:
  explicit Scratch(const std::string& text)
      : path_((std::filesystem::temp_directory_path() / "signalllm-XXXXXX")
                  .string()) {
    const int descriptor = ::mkstemp(path_.data());
    TORCH_CHECK(descriptor >= 0, "cannot make a file like ", path_);
    ::close(descriptor);
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~Scratch() {
    ::unlink(path_.c_str());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const {
    return path_;
  }

 private:
  std::string path_;
};

} // namespace

std::vector<CompressionResult> compress(
    const std::string& text,
    const std::string& before) {
  const Scratch alone(text), known(before), both(before + text);
  const auto bits = [&](std::optional<double> bytes) {
    return bytes
        ? std::optional<double>(*bytes * 8 / static_cast<double>(text.size()))
        : std::nullopt;
  };
  auto behind = compressed_size("xz", both.path());
  const auto first = compressed_size("xz", known.path());
  if (behind && first) {
    *behind -= *first;
  }
  return {
      {"gzip -9", bits(compressed_size("gzip", alone.path()))},
      {"xz -9", bits(compressed_size("xz", alone.path()))},
      {"xz -9 behind the training text", bits(first ? behind : first)}};
}

} // namespace signalllm::app
