#include "app/settings.h"

#include "app/nearest.h"
#include "strict_json.h"

#include <signalllm/version.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <limits>
#include <map>
#include <sstream>
#include <type_traits>

namespace signalllm::app {
namespace {

using Json = nlohmann::ordered_json;

nlohmann::json parse(const std::string& text, const std::string& where) {
  auto json = parse_json_object(where, text);
  for (const auto& [key, value] : json.items()) {
    const std::vector<std::string> known{
        "program", "torch", "settings", "model"};
    TORCH_CHECK(
        std::find(known.begin(), known.end(), key) != known.end(),
        where,
        ": unknown key '",
        key,
        "'",
        did_you_mean(key, known));
  }
  for (const auto* part : {"settings", "model"}) {
    TORCH_CHECK(
        json.contains(part) && json[part].is_object(),
        where,
        ": damaged: expected settings and model, each an object");
  }
  return json;
}

/// Whether the JSON value can become a `T` without losing anything.
template <typename T>
bool fits(const nlohmann::json& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value.is_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, double>) {
    return value.is_number();
  } else if constexpr (std::is_unsigned_v<T>) {
    return value.is_number_unsigned();
  } else {
    return value.is_number_integer() &&
        (!value.is_number_unsigned() ||
         value.get<uint64_t>() <=
             static_cast<uint64_t>(std::numeric_limits<T>::max()));
  }
}

/// A value of any kind, for a message.
std::string shown(const nlohmann::json& value) {
  constexpr auto replace = nlohmann::json::error_handler_t::replace;
  return value.dump(-1, ' ', false, replace).substr(0, 60);
}

bool names_a_folder(const std::string& name) {
  return name == "out" || name == "resume";
}

} // namespace

std::map<std::string, std::string> model_words(const Settings& s) {
  std::map<std::string, std::string> words;
  std::istringstream items(s.model);
  for (std::string item; std::getline(items, item, ',');) {
    const auto equals = item.find('=');
    TORCH_CHECK(
        equals != std::string::npos,
        "--model wants name=value, separated by commas, got '",
        item,
        "'");
    const auto name = item.substr(0, equals);
    TORCH_CHECK(
        words.emplace(name, item.substr(equals + 1)).second,
        "--model gives '",
        name,
        "' twice");
  }
  return words;
}

SignalLLMOptions model_options(const Settings& s, int64_t vocab_size) {
  auto values = SignalLLMOptions(vocab_size)
                    .dim(s.dim)
                    .layers(s.layers)
                    .heads(s.heads)
                    .attention_fraction(s.attention)
                    .max_length(s.context)
                    .dropout(s.dropout)
                    .describe();
  for (const auto& [name, value] : model_words(s)) {
    values[name] = value;
  }
  return SignalLLMOptions::parse(values);
}

training::TrainerOptions trainer_options(const Settings& s) {
  return training::TrainerOptions()
      .batch(s.batch)
      .accumulate(s.accumulate)
      .schedule(training::ScheduleOptions()
                    .shape(s.schedule)
                    .peak(s.lr)
                    .floor(s.min_lr)
                    .warmup(s.warmup)
                    .decay_fraction(s.decay_fraction)
                    .steps(s.steps))
      .adamw(training::AdamWOptions()
                 .beta1(s.beta1)
                 .beta2(s.beta2)
                 .weight_decay(s.weight_decay)
                 .kernel_decay(s.kernel_decay)
                 .clip(s.clip)
                 .muon(s.optimizer == "muon"))
      .bfloat16(s.precision == "bfloat16")
      .average(s.average)
      .divergence(s.divergence)
      .record(s.record);
}

std::string to_json(const Settings& settings, const SignalLLMOptions& model) {
  Json json;
  json["program"] = fmt::format(
      "signalllm {}.{}.{}",
      SIGNALLLM_VERSION_MAJOR,
      SIGNALLLM_VERSION_MINOR,
      SIGNALLLM_VERSION_PATCH);
  json["torch"] = TORCH_VERSION;
  json["settings"] = Json::object();
  visit_settings(
      settings, [&](const char*, const char* name, const auto& value, auto) {
        if (!names_a_folder(name)) {
          json["settings"][name] = value;
        }
      });
  json["model"] = model.describe();
  return json.dump(2) + "\n";
}

std::string to_toml(const Settings& settings) {
  std::string toml = "# signalllm train --config THIS_FILE\n";
  std::string section;
  visit_settings(
      settings,
      [&](const char* group,
          const char* name,
          const auto& value,
          const char* help) {
        if (names_a_folder(name)) {
          return;
        }
        if (section != group) {
          section = group;
          toml += fmt::format("\n# {}\n", section);
        }
        if constexpr (std::is_same_v<
                          std::decay_t<decltype(value)>,
                          std::string>) {
          toml += fmt::format("{} = \"{}\"  # {}\n", name, value, help);
        } else {
          toml += fmt::format("{} = {}  # {}\n", name, value, help);
        }
      });
  return toml;
}

Settings settings_from_json(const std::string& text, const std::string& where) {
  const auto json = parse(text, where)["settings"];
  Settings settings;
  std::vector<std::string> known;
  visit_settings(
      settings, [&](const char*, const char* name, auto& value, auto) {
        known.emplace_back(name);
        if (json.contains(name)) {
          TORCH_CHECK(
              fits<std::decay_t<decltype(value)>>(json[name]),
              where,
              ": settings.",
              name,
              " is ",
              shown(json[name]),
              ", it must be ",
              std::is_same_v<std::decay_t<decltype(value)>, std::string>
                  ? "a text"
                  : std::is_same_v<std::decay_t<decltype(value)>, double>
                  ? "a number"
                  : std::is_same_v<std::decay_t<decltype(value)>, bool>
                  ? "true or false"
                  : "a whole number");
          json[name].get_to(value);
        }
      });
  for (const auto& [key, value] : json.items()) {
    TORCH_CHECK(
        std::find(known.begin(), known.end(), key) != known.end(),
        where,
        ": unknown key 'settings.",
        key,
        "'",
        did_you_mean(key, known));
  }
  return settings;
}

SignalLLMOptions model_from_json(
    const std::string& text,
    const std::string& where) {
  std::map<std::string, std::string> values;
  const auto json = parse(text, where)["model"];
  for (const auto& [name, value] : json.items()) {
    TORCH_CHECK(
        value.is_string(),
        where,
        ": model.",
        name,
        " is ",
        shown(value),
        ", it must be a text");
    values[name] = value.get<std::string>();
  }
  try {
    return SignalLLMOptions::parse(values);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, where, ": ", error.what_without_backtrace());
  }
}

} // namespace signalllm::app
