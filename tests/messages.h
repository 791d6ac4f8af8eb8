#pragma once

#include <c10/util/Exception.h>

#include <functional>
#include <string>

namespace signalllm {

/// What the call complains about, without the trace; empty if it does not.
inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace signalllm
