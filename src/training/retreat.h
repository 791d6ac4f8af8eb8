#pragma once

#include <signalllm/training/fit.h>

#include <optional>

namespace signalllm::training {

/// Where a training goes back to when its loss goes wrong: the newest whole
/// checkpoint, or, where that has led to the same before, the one before it;
/// without a checkpoint on disk, one in memory.
class Retreat {
 public:
  /// `folder` may hold the run's checkpoints.
  Retreat(std::optional<RunFolder> folder, int64_t keep);

  /// Keeps a copy in memory, for as long as there is none on disk.
  void keep_copy(const Checkpoint& checkpoint);
  /// There is one on disk now.
  void drop_copy();

  /// Where the trainer is to go back to.
  Checkpoint choose(const Trainer& trainer) const;
  /// Lets the disk know: the checkpoint of that step, without those behind it.
  /// That of step `spare` stays.
  void settle(const Trainer& trainer, int64_t spare) const;

 private:
  std::optional<RunFolder> folder_;
  int64_t keep_;
  std::optional<Checkpoint> copy_;
};

} // namespace signalllm::training
