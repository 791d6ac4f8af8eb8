#pragma once

#include <signalllm/training/fit.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace signalllm::training {

/// Waits for the held-out loss to fall. It knows what the run's log knows, to
/// the same digits, so that one that resumes decides as one that never stopped.
class SIGNALLLM_API Patience {
 public:
  /// Waits for `limit` validations, 0 for ever; a new best is lower by more
  /// than `min_delta`.
  Patience(int64_t limit, double min_delta);

  void add(int64_t step, double loss);
  /// Forgets what comes after a step.
  void cut(int64_t step);

  /// The step of the best validation; -1 before the first, or with limit 0.
  int64_t best_step() const;
  /// Set where the wait is over.
  std::optional<EarlyStop> verdict() const;

 private:
  int64_t limit_;
  double min_delta_;
  std::vector<std::pair<int64_t, double>> losses_; // with their steps
};

} // namespace signalllm::training
