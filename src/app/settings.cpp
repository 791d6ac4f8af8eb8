#include "app/settings.h"

#include <signalllm/version.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/headeronly/version.h>

#include <sstream>
#include <type_traits>

namespace signalllm::app {
namespace {

using Json = nlohmann::ordered_json;

Json parse(const std::string& text, const std::string& where) {
  auto json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK(
      json.is_object() && json.contains("settings") && json.contains("model") &&
          json["settings"].is_object() && json["model"].is_object(),
      where,
      ": damaged: expected settings and model");
  return json;
}

bool names_a_folder(const std::string& name) {
  return name == "out" || name == "resume";
}

} // namespace

SignalLLMOptions model_options(const Settings& s, int64_t vocab_size) {
  auto values = SignalLLMOptions(vocab_size)
                    .dim(s.dim)
                    .layers(s.layers)
                    .heads(s.heads)
                    .attention_fraction(s.attention)
                    .max_length(s.context)
                    .dropout(s.dropout)
                    .describe();
  std::istringstream further(s.model);
  for (std::string item; std::getline(further, item, ',');) {
    const auto equals = item.find('=');
    TORCH_CHECK(
        equals != std::string::npos,
        "--model wants name=value, separated by commas, got '",
        item,
        "'");
    values[item.substr(0, equals)] = item.substr(equals + 1);
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
                    .steps(s.steps))
      .adamw(training::AdamWOptions()
                 .beta1(s.beta1)
                 .beta2(s.beta2)
                 .weight_decay(s.weight_decay)
                 .kernel_decay(s.kernel_decay)
                 .clip(s.clip))
      .bfloat16(s.precision == "bfloat16")
      .average(s.average)
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
  visit_settings(
      settings, [&](const char*, const char* name, auto& value, auto) {
        if (json.contains(name)) {
          try {
            json[name].get_to(value);
          } catch (const Json::exception&) {
            TORCH_CHECK(false, where, ": damaged: settings.", name);
          }
        }
      });
  return settings;
}

SignalLLMOptions model_from_json(
    const std::string& text,
    const std::string& where) {
  std::map<std::string, std::string> values;
  const auto json = parse(text, where)["model"];
  for (const auto& [name, value] : json.items()) {
    TORCH_CHECK(value.is_string(), where, ": damaged: model.", name);
    values[name] = value.get<std::string>();
  }
  return SignalLLMOptions::parse(values);
}

void check(const Settings& s) {
  const auto at_least = [](const char* name, auto value, auto least) {
    TORCH_CHECK(
        value >= least, "--", name, " is ", value, "; at least ", least);
  };
  const auto one_of = [](const char* name,
                         const std::string& value,
                         const std::vector<std::string>& allowed) {
    TORCH_CHECK(
        std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
        "--",
        name,
        " is '",
        value,
        "'; there are ",
        c10::Join(", ", allowed));
  };
  at_least("steps", s.steps, 1);
  at_least("batch", s.batch, 1);
  at_least("accumulate", s.accumulate, 1);
  at_least("context", s.context, 1);
  at_least("warmup", s.warmup, 0);
  at_least("lr", s.lr, 0.0);
  at_least("min-lr", s.min_lr, 0.0);
  at_least("weight-decay", s.weight_decay, 0.0);
  at_least("kernel-decay", s.kernel_decay, 0.0);
  at_least("clip", s.clip, 0.0);
  at_least("threads", s.threads, 0);
  at_least("report-every", s.report_every, 0);
  at_least("evaluate-every", s.evaluate_every, 0);
  at_least("checkpoint-every", s.checkpoint_every, 0);
  at_least("keep", s.keep, 0);
  one_of("schedule", s.schedule, training::schedule_shapes());
  one_of("precision", s.precision, {"float32", "bfloat16"});
  one_of("tokenizer", s.tokenizer, {"bytes", "chars"});
}

} // namespace signalllm::app
