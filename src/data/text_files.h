#pragma once

#include <signalllm/data/corpus.h>

#include <filesystem>
#include <limits>
#include <string_view>
#include <vector>

namespace signalllm::data {

inline constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

/// `max_bytes`, where 0 is `unlimited`. Throws where it is negative.
int64_t byte_limit(const CorpusOptions& options);

/// The files that the options name, in the order in which they are read. With
/// `max_bytes` those of a folder that fit, chosen by a hash of their paths.
/// Throws where there is none.
std::vector<std::filesystem::path> text_files(const CorpusOptions& options);

/// Throws where the name or the first bytes are those of a compressed file.
void refuse_compressed(
    const std::filesystem::path& path,
    std::string_view start);

} // namespace signalllm::data
