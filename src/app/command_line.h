#pragma once

#include "app/command.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <set>
#include <string>
#include <type_traits>

namespace signalllm::app {

/// The options of one command: flags, then `--config FILE` (TOML), then the
/// environment, the first of them that says something.
///
/// In the file a key is an option's name without the dashes; keys may stand
/// under `[command]`, and the sections of other commands are passed over. An
/// unknown key is an error that names the nearest known one.
class CommandLine {
 public:
  CommandLine(
      const std::string& command,
      const std::string& summary,
      const std::string& examples);

  /// Adds `--name`, which `SIGNALLLM_NAME` can set as well. Where it is true or
  /// false, `--name` alone is true.
  template <typename T>
  CLI::Option* add(
      const std::string& group,
      const std::string& name,
      T& value,
      const std::string& help) {
    auto* option = app_.add_option("--" + name, value, help)
                       ->group(group)
                       ->envname(environment_name(name))
                       ->capture_default_str();
    if constexpr (std::is_same_v<T, bool>) {
      switches_.insert("--" + name);
    }
    if constexpr (std::is_unsigned_v<T> && !std::is_same_v<T, bool>) {
      // Read as a number without a sign, -1 would become 2^64 - 1.
      option->check([](const std::string& text) {
        return text.find('-') == std::string::npos
            ? std::string()
            : "is " + text + "; at least 0";
      });
    }
    return option;
  }

  /// Adds `--name` that takes no value.
  CLI::Option* flag(
      const std::string& group,
      const std::string& name,
      bool& value,
      const std::string& help) {
    return app_.add_flag("--" + name, value, help)
        ->group(group)
        ->envname(environment_name(name));
  }

  /// Reads the words. An exit code where there is nothing more to do: help was
  /// printed (0) or one line about what is wrong (2).
  std::optional<int> parse(const Words& words);

  /// Whether the user said anything about `--name`.
  bool given(const std::string& name) const;

 private:
  static std::string environment_name(const std::string& option);

  CLI::App app_;
  std::set<std::string> switches_;
};

} // namespace signalllm::app
