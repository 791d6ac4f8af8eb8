#include <signalllm/training/checkpoint.h>

#include "training/durable_file.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
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

/// Size and checksum of a file as the disk has it.
Json fingerprint(const std::string& path) {
  const MappedFile file(path);
  return {
      {"bytes", file.size()},
      {"crc32c", crc32c({file.data(), static_cast<std::size_t>(file.size())})}};
}

/// The state with a checksum over itself.
std::string seal(Json state) {
  state["crc32c"] = crc32c(state.dump());
  return state.dump(2) + "\n";
}

Json unseal(const std::string& path, const std::string& text) {
  auto state = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK(
      state.is_object() && state.contains("crc32c") &&
          state["crc32c"].is_number_unsigned(),
      path,
      ": damaged: not the state of a checkpoint");
  const auto expected = state["crc32c"].get<uint32_t>();
  state.erase("crc32c");
  TORCH_CHECK(
      crc32c(state.dump()) == expected, path, ": damaged: wrong checksum");
  return state;
}

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  TORCH_CHECK(in, "cannot read ", path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

std::string RunFolder::file(const std::string& name) const {
  return (fs::path(path_) / name).string();
}

void RunFolder::create() const {
  TORCH_CHECK(
      !fs::exists(file("config.json")),
      "the folder ",
      path_,
      " already holds a run; go on with it (--resume ",
      path_,
      ") or choose another --out");
  std::error_code error;
  fs::create_directories(path_, error);
  TORCH_CHECK(!error, "cannot make the folder ", path_, ": ", error.message());
}

void RunFolder::check_exists() const {
  TORCH_CHECK(fs::is_directory(path_), "no such run folder: ", path_);
  TORCH_CHECK(
      fs::exists(file("config.json")),
      "the folder ",
      path_,
      " holds no run: it has no config.json");
}

void RunFolder::write_text(const std::string& name, const std::string& text)
    const {
  write_durably(file(name), text);
}

std::string RunFolder::read_text(const std::string& name) const {
  return read_all(file(name));
}

std::vector<int64_t> RunFolder::checkpoints() const {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
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
  fs::create_directory(aside.path());
  Json files;
  const auto put = [&](const char* part, const TensorMap& tensors) {
    save_safetensors(aside.file(part), {tensors, {{"format", "pt"}}});
    files[part] = fingerprint(aside.file(part));
  };
  put("model.safetensors", checkpoint.model);
  put("optimizer.safetensors", checkpoint.optimizer);
  if (!checkpoint.average.empty()) {
    put("average.safetensors", checkpoint.average);
  }
  aside.write_text(
      "state.json",
      seal(
          {{"step", checkpoint.step},
           {"files", files},
           {"state", Json::parse(checkpoint.state)}}));
  fs::remove_all(file(name)); // the same step, saved before
  fs::rename(aside.path(), file(name));
  sync_folder(path_);
  const auto steps = checkpoints();
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t i = 0; keep > 0 && i < count - keep; ++i) {
    fs::remove_all(file(folder_name(steps[i])));
  }
}

Checkpoint RunFolder::load(int64_t step) const {
  const RunFolder folder(file(folder_name(step)));
  const auto sealed =
      unseal(folder.file("state.json"), folder.read_text("state.json"));
  Checkpoint checkpoint;
  checkpoint.step = sealed["step"].get<int64_t>();
  checkpoint.state = sealed["state"].dump();
  for (const auto& [name, expected] : sealed["files"].items()) {
    TORCH_CHECK(
        fingerprint(folder.file(name)) == expected,
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
      "no checkpoint in ",
      path_,
      " is whole (",
      steps.size(),
      " damaged)");
  TORCH_CHECK(false, "the run in ", path_, " has no checkpoint yet");
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
