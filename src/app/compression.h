#pragma once

#include <optional>
#include <string>
#include <vector>

namespace signalllm::app {

/// What a compressor makes of a text.
struct CompressionResult {
  std::string name;
  std::optional<double> bits_per_byte; // nothing: the program is not there
};

/// gzip -9 and xz -9 on `text` alone, and xz on `text` behind `before`, which
/// is what it would save as the continuation of a text already known.
std::vector<CompressionResult> compress(
    const std::string& text,
    const std::string& before);

} // namespace signalllm::app
