#include "app/evolve_history.h"

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

namespace signalllm::app {
namespace {

using HistoryJson = nlohmann::ordered_json;

/// What makes two trials the same.
std::string identity(const HistoryJson& line) {
  return HistoryJson{
      {"id", line.at("id")},
      {"rung", line.at("rung")},
      {"seed", line.at("seed")},
      {"basis", line.at("basis")}}
      .dump();
}

HistoryJson line_of(const BasisTrial& trial) {
  const auto& one = trial.individual;
  return {
      {"trial", trial.number},
      {"generation", one.generation},
      {"id", one.id},
      {"parents", one.parents},
      {"rung", trial.rung},
      {"seed", trial.seed},
      {"basis", HistoryJson::parse(one.basis.to_json())}};
}

} // namespace

EvolveHistory::EvolveHistory(const training::RunFolder& folder)
    : path_(folder.file("history.jsonl")) {
  std::ifstream in(path_, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  const auto text = all.str();
  whole_ = text.rfind('\n') + 1; // 0 where there is none
  std::istringstream lines(text.substr(0, whole_));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      const auto json = HistoryJson::parse(line);
      const auto measured = [&](const char* name) {
        const auto& value = json.at(name);
        return value.is_null() ? std::numeric_limits<double>::quiet_NaN()
                               : value.get<double>();
      };
      lines_[json.at("trial").get<int64_t>()] = {
          identity(json),
          {measured("loss"),
           measured("cost"),
           measured("seconds_per_token"),
           measured("bytes_per_token")}};
    } catch (const nlohmann::json::exception& error) {
      TORCH_CHECK(
          false, path_, ": line ", number, " is damaged: ", error.what());
    }
  }
}

void EvolveHistory::mend() const {
  if (std::filesystem::exists(path_)) {
    std::filesystem::resize_file(path_, whole_);
  }
}

const BasisScore* EvolveHistory::find(const BasisTrial& trial) const {
  const auto found = lines_.find(trial.number);
  if (found == lines_.end()) {
    return nullptr;
  }
  TORCH_CHECK(
      found->second.trial == identity(line_of(trial)),
      path_,
      ": trial ",
      trial.number,
      " is not the one that this search asks for; another program or another "
      "search wrote it");
  return &found->second.score;
}

void EvolveHistory::append(
    const BasisTrial& trial,
    const BasisScore& score,
    int64_t steps) {
  auto json = line_of(trial);
  lines_[trial.number] = {identity(json), score};
  json["steps"] = steps;
  json["loss"] = score.loss; // null where it is not a number
  json["cost"] = score.cost;
  json["seconds_per_token"] = score.seconds;
  json["bytes_per_token"] = score.bytes;
  const auto line = json.dump() + "\n";
  const int file =
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const bool written = file >= 0 &&
      ::write(file, line.data(), line.size()) ==
          static_cast<ssize_t>(line.size()) &&
      ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) {
    ::close(file);
  }
  TORCH_CHECK(written, "cannot write ", path_, ": ", std::strerror(error));
}

} // namespace signalllm::app
