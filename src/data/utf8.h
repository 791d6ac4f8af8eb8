#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace signalllm::data {

/// The character at `text[position]`, which moves behind it. Throws
/// `c10::Error` for anything but well-formed UTF-8 (no surrogates, no overlong
/// forms).
char32_t next_character(std::string_view text, std::size_t& position);

void append_utf8(std::string& out, char32_t character);

/// `'a' (U+0061)`, for messages.
std::string show_character(char32_t character);

/// The first position from `position` on that does not lie inside a character.
std::size_t character_boundary(std::string_view text, std::size_t position);

/// Where the last character of `text` begins.
std::size_t last_character(std::string_view text);

} // namespace signalllm::data
