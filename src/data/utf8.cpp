#include "data/utf8.h"

#include <c10/util/Exception.h>

#include <cstdio>

namespace signalllm::data {
namespace {

bool continues(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

[[noreturn]] void refuse(std::string_view text, std::size_t position) {
  char hex[8];
  std::snprintf(
      hex, sizeof hex, "0x%02X", static_cast<unsigned char>(text[position]));
  TORCH_CHECK(
      false,
      "CharTokenizer: the text is not UTF-8: byte ",
      hex,
      " at offset ",
      position,
      "; the bytes tokenizer takes any file");
}

} // namespace

char32_t next_character(std::string_view text, std::size_t& position) {
  const auto first = static_cast<unsigned char>(text[position]);
  if (first < 0x80) {
    ++position;
    return first;
  }
  const int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || position + length > text.size()) {
    refuse(text, position);
  }
  char32_t character = first & (0x7F >> length);
  for (int i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[position + i]);
    if (!continues(byte)) {
      refuse(text, position);
    }
    character = character << 6 | (byte & 0x3F);
  }
  const char32_t smallest = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  if (character < smallest || character > 0x10FFFF ||
      (character >= 0xD800 && character < 0xE000)) {
    refuse(text, position);
  }
  position += length;
  return character;
}

void append_utf8(std::string& out, char32_t character) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (character < 0x80) {
    put(character);
    return;
  }
  if (character < 0x800) {
    put(0xC0 | character >> 6);
  } else {
    if (character < 0x10000) {
      put(0xE0 | character >> 12);
    } else {
      put(0xF0 | character >> 18);
      put(0x80 | (character >> 12 & 0x3F));
    }
    put(0x80 | (character >> 6 & 0x3F));
  }
  put(0x80 | (character & 0x3F));
}

std::string show_character(char32_t character) {
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(character));
  if (character < 0x20 || character == 0x7F) {
    return code;
  }
  std::string shown = "'";
  append_utf8(shown, character);
  return shown + "' (" + code + ")";
}

std::size_t character_boundary(std::string_view text, std::size_t position) {
  while (position < text.size() &&
         continues(static_cast<unsigned char>(text[position]))) {
    ++position;
  }
  return position;
}

std::size_t last_character(std::string_view text) {
  std::size_t position = text.empty() ? 0 : text.size() - 1;
  while (position > 0 &&
         continues(static_cast<unsigned char>(text[position]))) {
    --position;
  }
  return position;
}

} // namespace signalllm::data
