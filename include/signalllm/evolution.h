#pragma once

#include <signalllm/basis_function.h>
#include <signalllm/export.h>

#include <torch/arg.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace signalllm {

/// What a genome was measured to be worth; smaller is better in all.
struct SIGNALLLM_API BasisScore {
  /// Bits per byte on held-out text, say. What is not a number counts as the
  /// worst there is.
  double loss = 0;
  /// Multiply-adds a token, or whatever it costs.
  double cost = 0;
  /// Measured seconds a token and bytes of memory a token at the highest; not
  /// compared, since they are noisy. 0 where nobody knows.
  double seconds = 0;
  double bytes = 0;
};

/// One genome of a search.
struct SIGNALLLM_API Individual {
  int64_t id = 0;
  int64_t generation = 0;
  /// Ids; empty for those without.
  std::vector<int64_t> parents;
  BasisFunction basis;
  /// The highest rung it was measured on, from 0.
  int64_t rung = 0;
  /// Of the highest rung. On the last one seeds differ by more than genomes
  /// may: the loss is the reference's mean over all seeds, plus the mean of the
  /// differences between `losses` and the reference's of the same seeds.
  BasisScore score;
  /// As measured on the last rung, one for each seed from 0 on.
  std::vector<double> losses;
};

/// What is to be measured: a genome with the effort of a rung.
struct SIGNALLLM_API BasisTrial {
  /// Counted over the search. The same search asks for the same trials in the
  /// same order, so that what a trial gave can be kept under its number and a
  /// search that was broken off be run through again.
  int64_t number = 0;
  /// The genome, with what is known about it.
  Individual individual;
  int64_t rung = 0;
  /// Of the random numbers, from 0.
  int64_t seed = 0;
};

/// How `HRFEvoController` finds new genomes.
enum class SearchKind {
  /// From those that live, by crossing and mutation.
  Evolve,
  /// At random, to compare with.
  Random,
};

/// "evolve", "random".
SIGNALLLM_API const char* to_string(SearchKind kind);
/// Inverse of `to_string`; throws naming what is allowed.
SIGNALLLM_API SearchKind parse_search_kind(const std::string& name);

/// Options for `HRFEvoController`.
struct SIGNALLLM_API HRFEvoOptions {
  HRFEvoOptions() = default;

  TORCH_ARG(SearchKind, search) = SearchKind::Evolve;
  /// Genomes a generation.
  TORCH_ARG(int64_t, population) = 8;
  /// Wavelets to begin with (or one for each level, see `wavelets_of_levels`);
  /// if fewer than `population`, mutants follow. The first is the reference.
  TORCH_ARG(std::vector<std::string>, start) =
      {"db4", "haar", "db2", "db3", "sym4", "coif1"};
  /// Levels to begin with.
  TORCH_ARG(int64_t, levels) = 3;
  TORCH_ARG(BasisLimits, limits) = {};
  /// Radians.
  TORCH_ARG(double, mutation) = 0.3;
  /// Efforts of rising cost: of a generation's genomes the better half goes on
  /// to the next.
  TORCH_ARG(int64_t, rungs) = 1;
  /// How many seeds the reference and those of the front are measured with.
  TORCH_ARG(int64_t, seeds) = 1;
  TORCH_ARG(uint64_t, seed) = 1;
};

/// Evolution of wavelet bases against measured loss and cost.
///
/// Each generation, parents are drawn by tournaments of two, crossed and
/// mutated, until a genome comes out that is new. The children climb the rungs
/// (successive halving; Jamieson and Talwalkar, 2016); whoever comes onto the
/// front is measured again with other seeds, and counts by the mean of what it
/// is better by than the reference with the same seeds. Parents and children
/// together are ranked by Pareto dominance in (loss, cost), then by crowding
/// distance, and the better half lives on (NSGA-II; Deb et al., 2002); those of
/// a lower rung come behind.
///
/// ```
/// HRFEvoController search(
///     HRFEvoOptions(), HRFEvoController::each([&](const BasisTrial& trial) {
///       const auto& basis = trial.individual.basis;
///       return BasisScore{train_briefly(basis, trial.seed), cost_of(basis)};
///     }));
/// for (int g = 0; g < 5; ++g) search.step();
/// search.best().basis.wavelets();
/// ```
class SIGNALLLM_API HRFEvoController {
 public:
  /// Scores of trials that do not depend on each other.
  using Evaluate =
      std::function<std::vector<BasisScore>(const std::vector<BasisTrial>&)>;

  /// One trial after the other.
  static Evaluate each(std::function<BasisScore(const BasisTrial&)> evaluate);

  HRFEvoController(const HRFEvoOptions& options, Evaluate evaluate);

  /// The first call evaluates the beginning, the others a generation more.
  /// Where `evaluate` throws, the search stays as it was.
  void step();

  /// Steps done.
  int64_t generation() const {
    return generation_;
  }
  /// Those that live, the best first.
  std::vector<Individual> population() const;
  /// All that ever lived, by id; 0 is the reference.
  const std::vector<Individual>& history() const {
    return history_;
  }
  /// Those on the last rung that no other one there beats in both loss and
  /// cost, by rising cost.
  std::vector<Individual> front() const;
  /// Standard deviation, over the seeds, of what a genome is better by than the
  /// reference; 0 of fewer than two.
  double spread(const Individual& one) const;
  /// The lowest loss on the last rung. Throws before the first step.
  const Individual& best() const;

  /// Everything, random state included: a search read back goes on as if it
  /// had never stopped.
  std::string to_json() const;
  static HRFEvoController from_json(const std::string& json, Evaluate evaluate);

 private:
  void advance();
  BasisFunction beginning(int64_t index);
  BasisFunction offspring(std::vector<int64_t>& parents);
  int64_t tournament();
  /// Measures individuals, with the seeds that each lacks of `seeds`.
  void measure(const std::vector<int64_t>& ids, int64_t rung, int64_t seeds);
  /// Scores of the last rung, from losses with the reference's beside them.
  void compare_with_reference();
  void confirm_front();
  /// The best first.
  std::vector<int64_t> ranked(std::vector<int64_t> ids) const;
  bool on_front(const Individual& one) const;
  /// What a genome's losses are above the reference's with the same seeds.
  std::vector<double> differences(const Individual& one) const;

  HRFEvoOptions options_;
  Evaluate evaluate_;
  BasisFunction::Random random_;
  int64_t generation_ = 0;
  int64_t trials_ = 0;
  std::vector<Individual> history_;
  std::vector<int64_t> population_; // ids, the best first
  std::set<std::string> known_; // keys of all genomes
};

/// Scores in ranks of Pareto dominance: 0 for those that no other beats, 1 for
/// those that only rank 0 beats, and so on.
SIGNALLLM_API std::vector<int64_t> pareto_ranks(
    const std::vector<BasisScore>& scores);

} // namespace signalllm
