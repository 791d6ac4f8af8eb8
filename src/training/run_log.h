#pragma once

#include <signalllm/training/checkpoint.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

namespace signalllm::training {

using LogLine = nlohmann::ordered_json;

/// Six digits are enough for a log, and shorter to read.
double rounded(double value);

/// `log.jsonl` of a run, one JSON object a line; without a folder nothing.
class RunLog {
 public:
  explicit RunLog(const std::optional<RunFolder>& folder);

  /// Whether it holds the validation of a step.
  bool has_validation(int64_t step) const;
  /// Forgets what comes after a step.
  void cut(int64_t step);
  void write(const LogLine& line);

 private:
  void open();

  std::optional<RunFolder> folder_;
  std::string path_;
  std::ofstream out_;
};

/// Calls `visit` with every validation that a log holds, in its order: the
/// step and the loss, NaN where that was not finite.
void each_validation(
    const std::string& path,
    const std::function<void(int64_t step, double loss)>& visit);

} // namespace signalllm::training
