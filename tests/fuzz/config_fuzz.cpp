// What a run's folder and a user say in text. The first byte chooses the
// reader: config.json, tokenizer.json, a TOML file, options of the model.
#include "app/command_line.h"
#include "app/settings.h"
#include "fuzz/scratch.h"

#include <signalllm/data/tokenizer.h>

#include <c10/util/Exception.h>

#include <algorithm>
#include <sstream>

namespace {

using namespace signalllm;

void read_config(const std::string& text) {
  app::check(app::settings_from_json(text, "config.json"));
  app::model_from_json(text, "config.json").describe();
}

void read_tokenizer(const std::string& text) {
  const auto tokenizer = data::Tokenizer::from_json(text);
  const auto again = data::Tokenizer::from_json(tokenizer->to_json());
  TORCH_INTERNAL_ASSERT(again->vocab_size() == tokenizer->vocab_size());
  tokenizer->decode(tokenizer->encode(text));
}

void read_toml(const std::string& text) {
  app::Settings settings;
  app::CommandLine line("train", "", "");
  app::visit_settings(
      settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        line.add(group, name, value, help);
      });
  if (!line.parse({"--config", fuzz::write("a.toml", text)})) {
    app::to_toml(settings);
    app::model_options(settings, 256);
  }
}

void read_options(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = std::min(line.find('='), line.size());
    values[line.substr(0, equals)] =
        line.substr(std::min(equals + 1, line.size()));
  }
  const auto options = SignalLLMOptions::parse(values);
  const auto text_of = options.describe();
  TORCH_INTERNAL_ASSERT(SignalLLMOptions::parse(text_of).describe() == text_of);
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  constexpr void (*readers[])(const std::string&) = {
      read_config, read_tokenizer, read_toml, read_options};
  try {
    readers[data[0] % 4](
        std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  } catch (const c10::Error& error) {
    if (std::string_view(error.what_without_backtrace())
            .find("INTERNAL ASSERT") != std::string_view::npos) {
      throw;
    }
  }
  return 0;
}
