#include "app/command.h"
#include "app/command_line.h"
#include "app/processes.h"
#include "app/run_text.h"
#include "app/training_run.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <optional>

namespace signalllm::app {
namespace {

constexpr const char* train_examples =
    "  signalllm train --data book.txt\n"
    "  signalllm train --data src/ --extensions \".cpp .h\" --context 256 "
    "--steps 5000\n"
    "  signalllm train --data book.txt --tokenizer chars --out runs/book\n"
    "  signalllm train --resume runs/book --steps 10000\n"
    "  signalllm train --config runs/book/config.toml --out runs/book-again\n"
    "  torchrun --no-python --nproc-per-node 2 signalllm train --data book.txt "
    "--out runs/book\n"
    "A command with --out, given again, goes on with what is there.\n";

/// Puts what the words say into `settings`.
std::optional<int> parse(const Words& words, Settings& settings) {
  CommandLine line(
      "train", "Trains a model on a text of your own.", train_examples);
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

/// Calls `differ(group, name, then, now)` for every setting that is not the
/// same in both.
template <typename Differ>
void compare(const Settings& before, const Settings& after, Differ differ) {
  visit_settings(
      after, [&](const char* group, const char* name, const auto& now, auto) {
        visit_settings(
            before, [&](auto, const char* other, const auto& then, auto) {
              if constexpr (std::is_same_v<decltype(now), decltype(then)>) {
                if (!std::strcmp(name, other) && now != then) {
                  differ(group, name, then, now);
                }
              }
            });
      });
}

Settings recorded(const training::RunFolder& folder) {
  return settings_from_json(
      folder.read_text("config.json"), folder.file("config.json"));
}

/// The settings of the run, with what the words say on top. Text and model
/// must stay what they were; the text may have moved, which its checksum tells.
/// An imported model has no text yet.
Settings resumed(const Words& words, const std::string& path) {
  const training::RunFolder folder(path);
  folder.check_exists();
  const auto before = recorded(folder);
  auto settings = before;
  parse(words, settings);
  const bool may_move = has_text_record(folder);
  compare(
      before,
      settings,
      [&](const std::string& group,
          const std::string& name,
          const auto& then,
          const auto& now) {
        const bool moves = may_move && (name == "data" || name == "valid");
        const bool begins = before.data.empty() && name != "tokenizer" &&
            name != "vocab-size" && group != model_group;
        TORCH_CHECK(
            moves || begins ||
                (group != data_group && group != model_group && name != "seed"),
            "--",
            name,
            " of the run in ",
            path,
            " is ",
            then,
            " and cannot become ",
            now);
      });
  settings.out.clear();
  settings.resume = path;
  return settings;
}

/// Whether `--out` names a run with a checkpoint, which the same command goes
/// on with. Throws where its settings are others.
bool goes_on(const Settings& settings) {
  const training::RunFolder folder(settings.out);
  std::error_code ignored; // where we cannot look, making the run says why
  if (!std::filesystem::exists(folder.file("config.json"), ignored) ||
      folder.checkpoints().empty()) {
    return false;
  }
  compare(
      recorded(folder),
      settings,
      [&](const std::string& group,
          const char* name,
          const auto& then,
          const auto& now) {
        TORCH_CHECK(
            group == run_group,
            "the folder ",
            settings.out,
            " already holds a run, whose --",
            name,
            " is ",
            then,
            " and not ",
            now,
            "; go on with it (--resume ",
            settings.out,
            ") or choose another --out");
      });
  return true;
}

std::string absolute(const std::string& path) {
  return path.empty()
      ? path
      : std::filesystem::absolute(path).lexically_normal().string();
}

/// What the words mean, given what is in the folders that they name.
Settings prepared(const Words& words, Settings settings) {
  if (!settings.resume.empty()) {
    TORCH_CHECK(
        settings.out.empty() || settings.out == settings.resume,
        "--resume goes on in its own folder; --out cannot be given too");
    settings = resumed(words, settings.resume);
  }
  // So that the run can be resumed from anywhere.
  settings.data = absolute(settings.data);
  settings.valid = absolute(settings.valid);
  if (settings.resume.empty()) {
    if (settings.out.empty()) {
      settings.out = next_folder("train");
    } else if (goes_on(settings)) {
      settings.resume = settings.out;
    }
  }
  return settings;
}

} // namespace

int run_train(const Words& words) {
  Settings settings;
  if (const auto code = parse(words, settings)) {
    return *code;
  }
  const auto processes = meet(settings);
  TrainingRun run(
      settle(processes, [&] { return prepared(words, settings); }), processes);
  run.describe();
  const int code = run.train();
  if (code == 0 && !run.was_complete() && run.first()) {
    run.draw_losses();
    fmt::print("next: signalllm generate --run {}\n", run.folder().path());
  }
  return code;
}

} // namespace signalllm::app
