#pragma once

#include "app/evolve_history.h"
#include "app/evolve_settings.h"
#include "app/progress.h"
#include "app/run_text.h"
#include "app/workers.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace signalllm::app {

/// Beside config.json in the folder of a search.
inline constexpr const char* search_file = "search.json";

/// A search of the program: trials in worker processes, what they gave in the
/// folder.
class EvolveSearch {
 public:
  /// Begins in `settings.out`, or goes on in `settings.resume`. What is wrong
  /// with any setting throws before anything is written but the folder's lock.
  EvolveSearch(const Settings& settings, EvolveSettings evolve, int64_t jobs);

  /// Until there are so many generations, or a signal comes.
  void run(int64_t generations);
  /// The front, the best beside the reference, and how to train with it.
  void report() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::vector<BasisScore> measure(const std::vector<BasisTrial>& trials);
  /// Steps that the trial trains.
  int64_t effort(const BasisTrial& trial) const;
  void print_header() const;
  void show(const BasisTrial& trial, const BasisScore& score);
  void show_progress();
  /// What `--model` says to a model with the genome.
  std::string model_text(const BasisFunction& basis) const;

  Settings settings_;
  EvolveSettings evolve_;
  training::RunFolder folder_;
  training::RunLock lock_;
  RunText text_;
  std::unique_ptr<EvolveHistory> history_;
  std::unique_ptr<HRFEvoController> search_;
  std::unique_ptr<Workers> workers_;
  ProgressLine line_;
  Clock::time_point start_;
  int64_t jobs_ = 1;
  int64_t generations_ = 0;
  // Steps of training: of all generations, by the trials before this process
  // began and since.
  int64_t planned_ = 0, known_ = 0, trained_ = 0;
};

} // namespace signalllm::app
