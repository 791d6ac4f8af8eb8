#include <signalllm/training/checkpoint.h>

#include "training/checkpoint_state.h"
#include "training/durable_file.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace signalllm::training {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* prefix = "checkpoint-";
/// Before the name of a checkpoint that is being replaced, for a moment.
constexpr const char* replaced = "replaced-";
constexpr const char* temporary = "tmp-";
/// Of TensorBoard, which passes over what a run that starts again had written.
constexpr const char* event_files = "events.out.tfevents.";

std::string folder_name(int64_t step) {
  char name[40];
  std::snprintf(
      name, sizeof name, "%s%08lld", prefix, static_cast<long long>(step));
  return name;
}

/// What `folder_name` wrote, or -1.
int64_t step_of(const std::string& name) {
  const auto digits = name.substr(std::min(name.size(), sizeof "checkpoint"));
  return name.starts_with(prefix) && !digits.empty() && digits.size() < 19 &&
          digits.find_first_not_of("0123456789") == std::string::npos
      ? std::stoll(digits)
      : -1;
}

/// A file that a run has from its first second, or that a killed process left.
bool is_of_a_beginning(const std::string& name) {
  static const std::vector<std::string> names{
      ".lock",
      "config.json",
      "config.toml",
      "tokenizer.json",
      "text.json",
      "log.jsonl"};
  return name.starts_with(temporary) || name.starts_with(event_files) ||
      name.find(".tmp-") != std::string::npos ||
      std::find(names.begin(), names.end(), name) != names.end();
}

/// Makes a folder that survives a power failure, with those above it.
void make_folder(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> parents; // that get a new entry
  auto missing = fs::absolute(path).lexically_normal();
  if (!missing.has_filename()) {
    missing = missing.parent_path();
  }
  for (; !fs::exists(missing, error) && missing.has_relative_path();
       missing = missing.parent_path()) {
    parents.push_back(missing.parent_path());
  }
  fs::create_directories(path, error);
  TORCH_CHECK(
      !error,
      "RunFolder::create: cannot make the folder ",
      path,
      ": ",
      error.message());
  for (const auto& parent : parents) {
    sync_folder("RunFolder::create", parent.string());
  }
}

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  TORCH_CHECK(in, "RunFolder: cannot read ", path, ": ", std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_checkpoint(const RunFolder& folder, const Checkpoint& checkpoint) {
  fs::create_directory(folder.path());
  CheckpointState sealed{checkpoint.step, {}, checkpoint.state};
  const auto put = [&](const char* part, const TensorMap& tensors) {
    save_safetensors(folder.file(part), {tensors, {{"format", "pt"}}});
    sealed.files[part] = fingerprint(folder.file(part));
  };
  put("model.safetensors", checkpoint.model);
  put("optimizer.safetensors", checkpoint.optimizer);
  if (!checkpoint.average.empty()) {
    put("average.safetensors", checkpoint.average);
  }
  folder.write_text("state.json", write_state(sealed));
}

} // namespace

std::string RunFolder::file(const std::string& name) const {
  return (fs::path(path_) / name).string();
}

RunLock RunFolder::create() const {
  const auto check_nothing_to_lose = [&] {
    std::error_code ignored; // where we cannot look, writing says why
    bool begins = true;
    for (const auto& entry : fs::directory_iterator(path_, ignored)) {
      begins = begins && is_of_a_beginning(entry.path().filename().string());
    }
    TORCH_CHECK(
        begins || !fs::exists(file("config.json"), ignored),
        "RunFolder::create: the folder ",
        path_,
        " already holds a run; go on with it (--resume ",
        path_,
        ") or choose another --out");
  };
  check_nothing_to_lose();
  make_folder(path_);
  RunLock lock(path_);
  check_nothing_to_lose(); // another process may have been quicker
  fs::remove(file("config.json")); // first: without it there is no run
  fs::remove(file("log.jsonl"));
  return lock;
}

RunLock RunFolder::reopen() const {
  check_exists();
  return RunLock(path_);
}

void RunFolder::check_exists() const {
  std::error_code error;
  const bool there = fs::is_directory(path_, error);
  const bool missing = !error || error == std::errc::no_such_file_or_directory;
  TORCH_CHECK(
      there,
      "RunFolder: no such run folder: ",
      path_,
      missing ? "" : ": " + error.message());
  const bool holds = fs::exists(file("config.json"), error);
  TORCH_CHECK(!error, "RunFolder: cannot read ", path_, ": ", error.message());
  TORCH_CHECK(
      holds,
      "RunFolder: the folder ",
      path_,
      " holds no run: it has no config.json",
      fs::exists(file(".lock"), error)
          ? " (ended before it was written? --out starts it again)"
          : "");
}

void RunFolder::write_text(const std::string& name, const std::string& text)
    const {
  write_durably("RunFolder", file(name), text);
}

std::string RunFolder::read_text(const std::string& name) const {
  return read_all(file(name));
}

std::vector<int64_t> RunFolder::checkpoints() const {
  std::vector<int64_t> steps;
  std::error_code error;
  const fs::directory_iterator entries(path_, error);
  TORCH_CHECK(!error, "RunFolder: cannot read ", path_, ": ", error.message());
  for (const auto& entry : entries) {
    auto name = entry.path().filename().string();
    if (name.starts_with(replaced)) {
      name = name.substr(std::strlen(replaced));
    }
    if (const auto step = step_of(name); step >= 0) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

std::string RunFolder::place(int64_t step) const {
  const auto name = folder_name(step);
  // A process may have been killed while it replaced the step's checkpoint.
  return fs::exists(file(name)) || !fs::exists(file(replaced + name))
      ? file(name)
      : file(replaced + name);
}

void RunFolder::remove(int64_t step) const {
  // Under another name first: half a checkpoint is none.
  const auto aside = file(temporary + folder_name(step));
  fs::remove_all(aside);
  fs::rename(place(step), aside);
  fs::remove_all(aside);
}

void RunFolder::sweep() const {
  // What a killed process left half-written or has replaced.
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(path_)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(temporary) ||
        (name.starts_with(replaced) &&
         fs::exists(file(name.substr(std::strlen(replaced)))))) {
      leftovers.push_back(entry.path());
    }
  }
  for (const auto& path : leftovers) {
    fs::remove_all(path);
  }
}

void RunFolder::save(const Checkpoint& checkpoint, int64_t keep, int64_t spare)
    const {
  sweep();
  const auto name = folder_name(checkpoint.step);
  const RunFolder aside(file(temporary + name));
  try {
    write_checkpoint(aside, checkpoint);
    if (fs::exists(file(name))) { // the same step, saved before
      fs::rename(file(name), file(replaced + name));
    }
    fs::rename(aside.path(), file(name));
  } catch (...) {
    // A disk that is full gets its room back.
    std::error_code ignored;
    fs::remove_all(aside.path(), ignored);
    throw;
  }
  sync_folder("RunFolder", path_);
  sweep();
  auto steps = checkpoints();
  // Damaged ones that a run passed over may be newer; they do not count.
  std::erase_if(steps, [&](auto step) { return step > checkpoint.step; });
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t i = 0; keep > 0 && i < count - keep; ++i) {
    if (steps[i] != spare) {
      remove(steps[i]);
    }
  }
}

void RunFolder::discard_after(int64_t step) const {
  const auto steps = checkpoints();
  for (auto newer = steps.rbegin(); newer != steps.rend(); ++newer) {
    if (*newer > step) {
      remove(*newer);
    }
  }
}

void RunFolder::truncate_log(int64_t step) const {
  std::ifstream in(file("log.jsonl"));
  std::string before, kept, line;
  while (std::getline(in, line)) {
    before += line + (in.eof() ? "" : "\n");
    const auto json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.value("step", int64_t{0}) <= step) {
      kept += line + "\n";
    }
  }
  if (kept != before) {
    write_text("log.jsonl", kept);
  }
}

} // namespace signalllm::training
