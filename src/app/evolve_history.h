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
  /// Reads what there is, but for a line that a killed process left
  /// half-written; throws naming the line where another one is damaged.
  explicit EvolveHistory(const training::RunFolder& folder);

  /// Removes the half-written line. To be called before `append`, and by who
  /// holds the folder's lock only.
  void mend() const;

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
  std::size_t whole_ = 0; // bytes of whole lines
  std::map<int64_t, Line> lines_; // by the trial's number
};

} // namespace signalllm::app
