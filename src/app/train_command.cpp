#include "app/command.h"
#include "app/command_line.h"
#include "app/run_text.h"
#include "app/training_run.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <optional>

namespace signalllm::app {
namespace {

constexpr const char* examples =
    "  signalllm train --data book.txt\n"
    "  signalllm train --data src/ --extensions \".cpp .h\" --context 256 "
    "--steps 5000\n"
    "  signalllm train --data book.txt --tokenizer chars --out runs/book\n"
    "  signalllm train --resume runs/book --steps 10000\n"
    "  signalllm train --config runs/book/config.toml --out runs/book-again\n";

/// Puts what the words say into `settings`.
std::optional<int> parse(const Words& words, Settings& settings) {
  CommandLine line("train", "Trains a model on a text of your own.", examples);
  visit_settings(
      settings,
      [&](const char* group, const char* name, auto& value, const char* help) {
        line.add(group, name, value, help);
      });
  line.flag(
      run_group,
      "force-data",
      settings.force_data,
      "with --resume: go on although the text is another now");
  return line.parse(words);
}

/// The settings of the run, with what the words say on top. Text and model
/// must stay what they were; the text may have moved, which its checksum tells.
Settings resumed(const Words& words, const std::string& path) {
  const training::RunFolder folder(path);
  folder.check_exists();
  const auto before = settings_from_json(
      folder.read_text("config.json"), folder.file("config.json"));
  auto settings = before;
  parse(words, settings);
  const bool may_move = has_text_record(folder);
  visit_settings(
      settings, [&](const char* group, const char* name, auto& now, auto) {
        const bool moves =
            !std::strcmp(name, "data") || !std::strcmp(name, "valid");
        const bool fixed =
            (!std::strcmp(group, data_group) && !(moves && may_move)) ||
            !std::strcmp(group, model_group) || !std::strcmp(name, "seed");
        visit_settings(
            before, [&](auto, const char* other, const auto& then, auto) {
              if constexpr (std::is_same_v<
                                std::decay_t<decltype(now)>,
                                std::decay_t<decltype(then)>>) {
                TORCH_CHECK(
                    !fixed || std::strcmp(name, other) != 0 || now == then,
                    "--",
                    name,
                    " of the run in ",
                    path,
                    " is ",
                    then,
                    " and cannot become ",
                    now);
              }
            });
      });
  settings.out.clear();
  settings.resume = path;
  return settings;
}

std::string absolute(const std::string& path) {
  return path.empty()
      ? path
      : std::filesystem::absolute(path).lexically_normal().string();
}

} // namespace

int run_train(const Words& words) {
  Settings settings;
  if (const auto code = parse(words, settings)) {
    return *code;
  }
  if (!settings.resume.empty()) {
    TORCH_CHECK(
        settings.out.empty() || settings.out == settings.resume,
        "--resume goes on in its own folder; --out cannot be given too");
    settings = resumed(words, settings.resume);
  } else if (settings.out.empty()) {
    settings.out = next_folder("train");
  }
  // So that the run can be resumed from anywhere.
  settings.data = absolute(settings.data);
  settings.valid = absolute(settings.valid);
  TrainingRun run(settings);
  run.describe();
  const int code = run.train();
  if (code == 0) {
    run.draw_losses();
    fmt::print("next: signalllm generate --run {}\n", run.folder().path());
  }
  return code;
}

} // namespace signalllm::app
