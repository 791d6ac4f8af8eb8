#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <torch/arg.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace signalllm {

/// A wavelet as a genome: the lattice angles of an orthogonal bank and the
/// number of levels. Whatever happens to the angles, the bank reconstructs.
///
/// The angles sum to pi/4 (up to whole turns), so that the low-pass has gain
/// sqrt(2) at frequency 0 and the high-pass none.
class SIGNALLLM_API BasisFunction {
 public:
  using Random = std::mt19937_64;

  /// From K >= 1 angles, moved by one amount so that their sum is pi/4.
  BasisFunction(
      std::vector<double> angles,
      int64_t levels,
      std::string family = "lattice");

  /// From an orthogonal wavelet of `wavelist()`; throws for others.
  BasisFunction(const Wavelet& wavelet, int64_t levels);

  /// The bank; its name `lattice(...)` is understood wherever a wavelet is
  /// named, by the options of a model for instance.
  Wavelet wavelet() const;

  const std::vector<double>& angles() const {
    return angles_;
  }
  int64_t levels() const {
    return levels_;
  }
  /// The wavelet it began as, before all mutations.
  const std::string& family() const {
    return family_;
  }

  /// Multiply-adds a sample and channel of `causal_wavelet_filter`: 2 filters
  /// of 2K taps a level, and the read-out of `levels + 2` bands.
  int64_t multiply_adds() const;

  /// A neighbour: angles moved by normal noise of `strength` radians; now and
  /// then (one time in five each) a level more or less, or a stage more (of
  /// angle 0, which leaves the bank as it is before the noise) or less.
  BasisFunction mutated(
      double strength,
      int64_t max_stages,
      int64_t max_levels,
      Random& random) const;

  /// A child: each angle from one parent or the other (the shorter one goes on
  /// with zeros), the levels of one of them.
  BasisFunction crossed(const BasisFunction& other, Random& random) const;

  /// `{"angles": [...], "levels": n, "family": "..."}`; every digit is kept.
  std::string to_json() const;
  /// Throws naming what is wrong.
  static BasisFunction from_json(const std::string& json);

 private:
  void centre();

  std::vector<double> angles_;
  int64_t levels_;
  std::string family_;
};

/// What a genome was measured to be worth; smaller is better in all.
struct SIGNALLLM_API BasisScore {
  /// Bits per byte on held-out text, say.
  double loss = 0;
  /// Multiply-adds, or whatever it costs.
  double cost = 0;
  /// Measured seconds; not compared, since they are noisy.
  double seconds = 0;
};

/// One genome of a search.
struct SIGNALLLM_API Individual {
  int64_t id = 0;
  int64_t generation = 0;
  /// Ids; empty for those that the search began with.
  std::vector<int64_t> parents;
  BasisFunction basis;
  BasisScore score;
};

/// Options for `HRFEvoController`.
struct SIGNALLLM_API HRFEvoOptions {
  HRFEvoOptions() = default;

  /// Genomes a generation.
  TORCH_ARG(int64_t, population) = 8;
  /// Wavelets to begin with; if fewer than `population`, mutants follow.
  TORCH_ARG(std::vector<std::string>, start) =
      {"db4", "haar", "db2", "db3", "sym4", "coif1"};
  /// Levels to begin with, and the most there may be.
  TORCH_ARG(int64_t, levels) = 3;
  TORCH_ARG(int64_t, max_levels) = 6;
  /// Most lattice stages: half the taps.
  TORCH_ARG(int64_t, max_stages) = 8;
  /// Radians.
  TORCH_ARG(double, mutation) = 0.3;
  TORCH_ARG(uint64_t, seed) = 1;
};

/// Evolution of wavelet bases against measured loss and cost.
///
/// Each generation, parents are drawn by tournaments of two, crossed and
/// mutated; parents and children together are ranked by Pareto dominance in
/// (loss, cost), then by crowding distance, and the better half lives on
/// (NSGA-II; Deb et al., 2002).
///
/// ```
/// HRFEvoController search(HRFEvoOptions(), [&](const BasisFunction& basis) {
///   return BasisScore{train_briefly(basis.wavelet()), cost_of(basis)};
/// });
/// for (int g = 0; g < 5; ++g) search.step();
/// search.best().basis.wavelet();
/// ```
class SIGNALLLM_API HRFEvoController {
 public:
  using Evaluate = std::function<BasisScore(const BasisFunction&)>;

  HRFEvoController(const HRFEvoOptions& options, Evaluate evaluate);

  /// The first call evaluates the beginning, the others a generation more.
  void step();

  /// Steps done.
  int64_t generation() const {
    return generation_;
  }
  /// Those that live, the best first.
  const std::vector<Individual>& population() const {
    return population_;
  }
  /// All that ever lived, by id.
  const std::vector<Individual>& history() const {
    return history_;
  }
  /// Those of `history` that no other one beats in both loss and cost, by
  /// rising cost.
  std::vector<Individual> front() const;
  /// The lowest loss of all. Throws before the first step.
  const Individual& best() const;

  /// Everything, random state included: a search read back goes on as if it
  /// had never stopped.
  std::string to_json() const;
  static HRFEvoController from_json(const std::string& json, Evaluate evaluate);

 private:
  Individual evaluated(BasisFunction basis, std::vector<int64_t> parents);
  const Individual& tournament();

  HRFEvoOptions options_;
  Evaluate evaluate_;
  BasisFunction::Random random_;
  int64_t generation_ = 0;
  std::vector<Individual> population_, history_;
};

/// Scores in ranks of Pareto dominance: 0 for those that no other beats, 1 for
/// those that only rank 0 beats, and so on.
SIGNALLLM_API std::vector<int64_t> pareto_ranks(
    const std::vector<BasisScore>& scores);

} // namespace signalllm
