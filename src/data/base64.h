#pragma once

#include <string>
#include <string_view>

namespace signalllm::data {

/// RFC 4648, section 4, with padding.
std::string to_base64(std::string_view bytes);
/// Throws `c10::Error` for what `to_base64` does not write.
std::string from_base64(std::string_view text);

} // namespace signalllm::data
