#pragma once

#include <signalllm/evolution.h>
#include <signalllm/training/checkpoint.h>

#include <cstdint>
#include <map>
#include <string>

namespace signalllm::app {

/// What every trial of a search gave, as lines of JSON in `history.jsonl` of
/// its folder. A search asks for the same trials when it is run through again,
/// so that this is all that it needs to go on, from within a generation too.
class EvolveHistory {
 public:
  /// Reads what there is. Of a line that a killed process left half-written
  /// nothing stays; throws naming the line where another one is damaged.
  explicit EvolveHistory(const training::RunFolder& folder);

  /// What the trial gave; null where it was not finished. Throws where the
  /// trial of its number was another one.
  const BasisScore* find(const BasisTrial& trial) const;
  /// On the disk when it returns.
  void append(const BasisTrial& trial, const BasisScore& score, int64_t steps);

  std::size_t size() const {
    return lines_.size();
  }

 private:
  struct Line {
    std::string trial;
    BasisScore score;
  };

  std::string path_;
  std::map<int64_t, Line> lines_; // by the trial's number
};

} // namespace signalllm::app
