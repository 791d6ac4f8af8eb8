#pragma once

#include <c10/util/Exception.h>

#include <cstddef>
#include <string>
#include <utility>

namespace signalllm {

/// A value of an enumeration and its name. A table of them is all that there is
/// to edit for another value: printing, reading and the message go by it.
template <class Kind>
using Name = std::pair<Kind, const char*>;

template <class Kind, std::size_t count>
const char* name_of(const Name<Kind> (&names)[count], Kind kind) {
  for (const auto& [value, name] : names) {
    if (value == kind) {
      return name;
    }
  }
  TORCH_INTERNAL_ASSERT(false);
}

/// The value of a name. `noun` is what it names, "a filter".
template <class Kind, std::size_t count>
Kind parse_name(
    const Name<Kind> (&names)[count],
    const char* function,
    const char* noun,
    const std::string& given) {
  std::string allowed;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [value, name] = names[i];
    if (given == name) {
      return value;
    }
    allowed += i == 0 ? "" : i + 1 == count ? " and " : ", ";
    allowed += name;
  }
  TORCH_CHECK(
      false,
      function,
      ": '",
      given,
      "' is not ",
      noun,
      ", allowed are ",
      allowed);
}

} // namespace signalllm
