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

std::string folder_name(int64_t step) {
  char name[40];
  std::snprintf(
      name, sizeof name, "%s%08lld", prefix, static_cast<long long>(step));
  return name;
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
  const auto check_empty = [&] {
    std::error_code ignored; // where we cannot look, writing says why
    TORCH_CHECK(
        !fs::exists(file("config.json"), ignored),
        "RunFolder::create: the folder ",
        path_,
        " already holds a run; go on with it (--resume ",
        path_,
        ") or choose another --out");
  };
  check_empty();
  std::error_code error;
  fs::create_directories(path_, error);
  TORCH_CHECK(
      !error,
      "RunFolder::create: cannot make the folder ",
      path_,
      ": ",
      error.message());
  RunLock lock(path_);
  check_empty(); // another process may have been quicker
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
      " holds no run: it has no config.json");
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
    const auto name = entry.path().filename().string();
    const auto digits = name.substr(std::min(name.size(), sizeof "checkpoint"));
    if (name.starts_with(prefix) && !digits.empty() && digits.size() < 19 &&
        digits.find_first_not_of("0123456789") == std::string::npos) {
      steps.push_back(std::stoll(digits));
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void RunFolder::save(const Checkpoint& checkpoint, int64_t keep) const {
  // What a killed process left half-written.
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (entry.path().filename().string().starts_with("tmp-")) {
      fs::remove_all(entry.path());
    }
  }
  const auto name = folder_name(checkpoint.step);
  const RunFolder aside(file("tmp-" + name));
  try {
    write_checkpoint(aside, checkpoint);
    fs::remove_all(file(name)); // the same step, saved before
    fs::rename(aside.path(), file(name));
  } catch (...) {
    // A disk that is full gets its room back.
    std::error_code ignored;
    fs::remove_all(aside.path(), ignored);
    throw;
  }
  sync_folder("RunFolder", path_);
  const auto steps = checkpoints();
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t i = 0; keep > 0 && i < count - keep; ++i) {
    fs::remove_all(file(folder_name(steps[i])));
  }
}

Checkpoint RunFolder::load(int64_t step) const {
  const RunFolder folder(file(folder_name(step)));
  auto read = read_state(
      "RunFolder::load: " + folder.file("state.json"),
      folder.read_text("state.json"));
  Checkpoint checkpoint;
  checkpoint.step = read.step;
  checkpoint.state = std::move(read.state);
  for (const auto& [name, expected] : read.files) {
    TORCH_CHECK(
        fingerprint(folder.file(name)) == expected,
        "RunFolder::load: ",
        folder.file(name),
        ": damaged: wrong size or checksum");
    auto tensors = load_safetensors(folder.file(name)).tensors;
    (name == "model.safetensors"         ? checkpoint.model
         : name == "average.safetensors" ? checkpoint.average
                                         : checkpoint.optimizer) =
        std::move(tensors);
  }
  return checkpoint;
}

Checkpoint RunFolder::load_latest(std::vector<std::string>* problems) const {
  check_exists();
  auto steps = checkpoints();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      return load(*step);
    } catch (const c10::Error& error) {
      if (problems != nullptr) {
        problems->emplace_back(error.what_without_backtrace());
      }
    }
  }
  TORCH_CHECK(
      steps.empty(),
      "RunFolder::load_latest: no checkpoint in ",
      path_,
      " is whole (",
      steps.size(),
      " damaged)");
  TORCH_CHECK(
      false,
      "RunFolder::load_latest: the run in ",
      path_,
      " has no checkpoint yet");
}

void RunFolder::truncate_log(int64_t step) const {
  std::ifstream in(file("log.jsonl"));
  std::string kept, line;
  while (std::getline(in, line)) {
    const auto json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.value("step", int64_t{0}) <= step) {
      kept += line + "\n";
    }
  }
  write_text("log.jsonl", kept);
}

} // namespace signalllm::training
