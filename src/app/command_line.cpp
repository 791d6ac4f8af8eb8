#include "app/command_line.h"

#include "app/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace signalllm::app {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) {
      names.push_back(name);
    }
  }
  return names;
}

/// CLI11's reader with our rules about sections and unknown keys.
class Config : public CLI::ConfigTOML {
 public:
  Config(const CLI::App& app, std::string command)
      : app_(app), command_(std::move(command)) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> kept;
    skip_mark(in);
    for (auto item : CLI::ConfigTOML::from_config(in)) {
      if (item.name == "++" || item.name == "--" ||
          (!item.parents.empty() && item.parents[0] != command_)) {
        continue; // CLI11's marks of sections; other commands' settings
      }
      item.parents.clear();
      std::replace(item.name.begin(), item.name.end(), '_', '-');
      if (app_.get_option_no_throw("--" + item.name) == nullptr) {
        throw CLI::ConfigError(
            fmt::format(
                "unknown key '{}' in the configuration file{}",
                item.name,
                did_you_mean(item.name, option_names(app_))),
            CLI::ExitCodes::ConfigError);
      }
      // CLI11 joins what keys of one name say; no option of ours is a list.
      if (item.inputs.size() > 1) {
        throw CLI::ConfigError(
            fmt::format(
                "key '{}' stands twice in the configuration file, or is a list",
                item.name),
            CLI::ExitCodes::ConfigError);
      }
      kept.push_back(std::move(item));
    }
    return kept;
  }

 private:
  /// Editors on Windows begin a file with UTF-8's byte order mark.
  static void skip_mark(std::istream& in) {
    char head[3] = {};
    const auto start = in.tellg();
    if (!in.read(head, 3) || std::memcmp(head, "\xEF\xBB\xBF", 3) != 0) {
      in.clear();
      in.seekg(start);
    }
  }

  const CLI::App& app_;
  std::string command_;
};

/// What CLI11 says of an option given twice is "At Most 1 required but
/// received 2".
std::string explained(const CLI::ParseError& error) {
  std::string text = error.what();
  const auto end = text.find(": At Most 1 required but received ");
  return end == std::string::npos ? text
                                  : text.substr(0, end) + " is given " +
          text.substr(text.rfind(' ') + 1) + " times; once is allowed";
}

/// CLI11's help without the environment's names, which the footer explains.
class Formatter : public CLI::Formatter {
 public:
  Formatter() {
    column_width(32);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text;
    if (option->get_type_size() != 0) {
      text = " " + option->get_type_name();
      if (!option->get_default_str().empty()) {
        text += "=" + option->get_default_str();
      }
    }
    return text;
  }
};

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') {
    text.pop_back();
  }
  return text;
}

} // namespace

CommandLine::CommandLine(
    const std::string& command,
    const std::string& summary,
    const std::string& examples)
    : app_(summary, "signalllm " + command) {
  app_.footer(
      "Examples:\n" + examples +
      "\nOptions may also stand in a TOML file (--config), one 'name = value' "
      "a line,\nor in the environment (SIGNALLLM_NAME). Flags win over the "
      "file, the file over\nthe environment.");
  app_.config_formatter(std::make_shared<Config>(app_, command));
  app_.set_config("--config", "", "a TOML file with options")
      ->type_name("FILE");
  app_.formatter(std::make_shared<Formatter>());
}

std::string CommandLine::environment_name(const std::string& option) {
  std::string name = "SIGNALLLM_";
  for (const unsigned char c : option) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
  }
  return name;
}

bool CommandLine::given(const std::string& name) const {
  return app_.get_option("--" + name)->count() > 0;
}

std::optional<int> CommandLine::parse(const Words& words) {
  Words reversed; // as CLI11 wants them
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    if (switches_.contains(*word) &&
        (reversed.empty() || reversed.back().starts_with('-'))) {
      reversed.emplace_back("true");
    }
    reversed.push_back(*word);
  }
  try {
    app_.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app_.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    std::string hint;
    for (const auto& word : words) { // a flag that does not exist
      const auto name = word.substr(0, word.find('='));
      if (name.starts_with("--") && app_.get_option_no_throw(name) == nullptr) {
        hint = did_you_mean(name.substr(2), option_names(app_));
        break;
      }
    }
    fmt::print(
        stderr,
        "{}: {}{}\n",
        app_.get_name(),
        one_line(explained(error)),
        hint);
    return usage_error;
  }
  return std::nullopt;
}

} // namespace signalllm::app
