#pragma once

#include <signalllm/export.h>

#include <string>
#include <string_view>
#include <vector>

namespace signalllm {

/// The candidate with the smallest edit distance to `word`: for messages.
SIGNALLLM_API std::string nearest(
    std::string_view word,
    const std::vector<std::string>& candidates);

/// "a, b, c".
SIGNALLLM_API std::string join(const std::vector<std::string>& words);

} // namespace signalllm
