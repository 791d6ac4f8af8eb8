#pragma once

#include <string>
#include <vector>

namespace signalllm::app {

/// `; did you mean 'x'?` with the name closest to `given` (edit distance), or
/// nothing where none is close.
std::string did_you_mean(
    const std::string& given,
    const std::vector<std::string>& names);

} // namespace signalllm::app
