#pragma once

#include <signalllm/export.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace signalllm {

/// The JSON object in `text`. Throws `c10::Error` beginning with `where` for
/// what is no JSON object, for a key given twice, which nlohmann takes
/// silently, and for one nested deeper than any file of ours.
SIGNALLLM_API nlohmann::json parse_json_object(
    const std::string& where,
    std::string_view text);

} // namespace signalllm
