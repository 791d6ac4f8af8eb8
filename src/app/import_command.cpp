#include "app/command.h"
#include "app/command_line.h"
#include "app/progress.h"
#include "app/session.h"
#include "app/settings.h"

#include <signalllm/training/model_folder.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <string>

namespace signalllm::app {
namespace {

/// The settings that say such a model, the others as they are by default.
Settings settings_of(
    const SignalLLMOptions& model,
    const data::Tokenizer& tokenizer) {
  Settings settings;
  if (tokenizer.kind() != "numbers") {
    settings.tokenizer = tokenizer.kind();
  }
  settings.dim = model.dim();
  settings.layers = model.layers();
  settings.heads = model.heads();
  settings.attention = model.attention_fraction();
  settings.context = model.max_length();
  settings.dropout = model.dropout();
  const auto said = model_options(settings, model.vocab_size()).describe();
  for (const auto& [name, value] : model.describe()) {
    if (said.at(name) != value) {
      settings.model +=
          (settings.model.empty() ? "" : ",") + name + "=" + value;
    }
  }
  return settings;
}

} // namespace

int run_import(const Words& words) {
  std::string model, out, tokenizer;
  CommandLine line(
      "import",
      "Makes a run of a model that `export` or another program wrote\n"
      "(docs/export.md): eval, generate and train --resume take it.",
      "  signalllm import --model book --out runs/book-again\n"
      "  signalllm generate --run runs/book-again\n"
      "  signalllm train --resume runs/book-again --data more.txt\n");
  line.add(
      "Options",
      "model",
      model,
      "folder with model.safetensors, config.json and a tokenizer");
  line.add(
      "Options", "out", out, "folder of the run; default: a new one in runs/");
  line.add(
      "Options",
      "tokenizer",
      tokenizer,
      "where the folder has none: bytes, or a file with one");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  TORCH_CHECK(!model.empty(), "no model: --model names the folder of one");
  const auto read = training::import_model(
      model, tokenizer.empty() ? nullptr : data::make_tokenizer(tokenizer, ""));
  const auto settings = settings_of(read.model->options, *read.tokenizer);
  const training::RunFolder folder(out.empty() ? next_folder("import") : out);
  const auto lock = folder.create();
  folder.write_text("tokenizer.json", read.tokenizer->to_json());
  folder.save(
      {0, training::module_tensors(*read.model), {}, {}, R"({"rows": 0})"});
  folder.write_text("config.toml", to_toml(settings));
  // The last: where it is there is a run.
  folder.write_text("config.json", to_json(settings, read.model->options));
  fmt::print(
      "{}: {} parameters, {} tokens ({})\n"
      "next: signalllm generate --run {}\n"
      "      signalllm train --resume {} --data book.txt\n",
      folder.path(),
      format_count(read.model->num_parameters()),
      format_count(read.tokenizer->vocab_size()),
      read.tokenizer->kind(),
      folder.path(),
      folder.path());
  return 0;
}

} // namespace signalllm::app
