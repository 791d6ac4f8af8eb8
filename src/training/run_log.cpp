#include "training/run_log.h"

#include <c10/util/Exception.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace signalllm::training {

double rounded(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.6g", value);
  return std::strtod(digits, nullptr);
}

RunLog::RunLog(const std::optional<RunFolder>& folder) : folder_(folder) {
  if (folder_) {
    path_ = folder_->file("log.jsonl");
    open();
  }
}

bool RunLog::has_validation(int64_t step) const {
  bool found = false;
  each_validation(
      path_, [&](int64_t other, double) { found = found || other == step; });
  return found;
}

void RunLog::cut(int64_t step) {
  if (folder_) {
    folder_->truncate_log(step); // a new file
    out_.close();
    open();
  }
}

void RunLog::write(const LogLine& line) {
  if (out_.is_open()) {
    out_ << line.dump() << std::endl; // flushed: people watch it grow
    TORCH_CHECK(out_, "fit: cannot write ", path_, ": is the disk full?");
  }
}

void RunLog::open() {
  out_.open(path_, std::ios::app);
  TORCH_CHECK(out_, "fit: cannot write ", path_);
}

void each_validation(
    const std::string& path,
    const std::function<void(int64_t step, double loss)>& visit) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const auto json = LogLine::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("valid_loss") ||
        !json.contains("step") || !json["step"].is_number_integer()) {
      continue;
    }
    const auto& loss = json["valid_loss"];
    visit(
        json["step"].get<int64_t>(),
        loss.is_number() ? loss.get<double>() : std::nan(""));
  }
}

} // namespace signalllm::training
