#include "support.h"

#include <signalllm/evolution.h>
#include <signalllm/functional.h>
#include <signalllm/nn/model.h>

#include <rapidcheck/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

using namespace signalllm;
using namespace signalllm::test;

using Angles = BasisFunction::Angles;

struct EvolutionTest : testing::Test {
  /// A landscape with a known best place: angles near those of db2, cheap.
  static BasisScore distance(const BasisFunction& basis) {
    const auto wanted = Wavelet("db2").rec_lo();
    double sum = 0;
    for (int64_t level = 0; level < basis.levels(); ++level) {
      const auto have = basis.wavelet(level).rec_lo();
      for (size_t i = 0; i < std::max(wanted.size(), have.size()); ++i) {
        const auto a = i < wanted.size() ? wanted[i] : 0;
        const auto b = i < have.size() ? have[i] : 0;
        sum += (a - b) * (a - b) / static_cast<double>(basis.levels());
      }
    }
    return {sum, static_cast<double>(basis.multiply_adds())};
  }

  static HRFEvoController::Evaluate distances() {
    return HRFEvoController::each([](const BasisTrial& trial) {
      return distance(trial.individual.basis);
    });
  }
};

RC_GTEST_PROP(BasisFunctionProperty, AlwaysReconstructs, ()) {
  BasisFunction::Random random(*rc::gen::arbitrary<uint64_t>());
  const BasisLimits limits{8, 6, PlaceAttention | PlaceFeedForward};
  const auto some = [&] { return BasisFunction::any(limits, random); };
  const auto child =
      some().crossed(some(), random).mutated(1.0, limits, random);
  RC_ASSERT(child.levels() >= 1 && child.levels() <= limits.levels);
  RC_ASSERT(child.stages() >= 1 && child.stages() <= limits.stages);
  RC_ASSERT(child.places() != 0 && (child.places() & ~limits.places) == 0);
  for (int64_t level = 0; level < child.levels(); ++level) {
    const auto w = child.wavelet(level);
    RC_ASSERT(w.is_orthogonal(1e-12));
    RC_ASSERT(w.reconstruction_error() < 1e-12);
    const auto& lo = w.rec_lo();
    const auto gain = std::accumulate(lo.begin(), lo.end(), 0.0);
    RC_ASSERT(
        child.stages() == 1 || std::abs(gain - std::numbers::sqrt2) < 1e-12);
  }
  const auto back = BasisFunction::from_json(child.to_json());
  RC_ASSERT(back.angles() == child.angles());
  RC_ASSERT(back.places() == child.places());
  RC_ASSERT(back.key() == child.key());
  // What a model is told is the same genome.
  const BasisFunction named(child.wavelets(), child.levels(), child.places());
  RC_ASSERT(named.key() == child.key());
}

RC_GTEST_PROP(BasisFunctionProperty, KeepsWhatTheLimitsHold, ()) {
  BasisFunction::Random random(*rc::gen::arbitrary<uint64_t>());
  const bool levels = *rc::gen::arbitrary<bool>();
  const BasisLimits limits{
      4, 3, PlaceAttention | PlaceFourier, levels, !levels};
  const auto some = [&] { return BasisFunction::any(limits, random); };
  auto child = some().crossed(some(), random);
  for (int generation = 0; generation < 8; ++generation) {
    RC_ASSERT(!levels || child.levels() == 3);
    RC_ASSERT(levels || child.places() == limits.places);
    child = child.mutated(0.3, limits, random);
  }
}

TEST_F(EvolutionTest, AListedWaveletComesBack) {
  for (const auto* name : {"haar", "db4", "sym5", "coif2"}) {
    const Wavelet w(name);
    const BasisFunction basis(name, 3);
    EXPECT_EQ(basis.family(), name);
    EXPECT_EQ(basis.levels(), 3);
    for (size_t i = 0; i < w.rec_lo().size(); ++i) {
      EXPECT_NEAR(basis.wavelet(2).rec_lo()[i], w.rec_lo()[i], 1e-8) << name;
    }
  }
  const BasisFunction levels("db2;sym2;lattice(0.1 0.2)", 3);
  EXPECT_NE(levels.wavelet(2).rec_lo(), levels.wavelet(0).rec_lo());
  const auto refused = [](const char* names) {
    return message_of([&] { BasisFunction(names, 3); });
  };
  EXPECT_NE(
      refused("bior2.2").find("'bior2.2' is not orthogonal"),
      std::string::npos);
  EXPECT_NE(refused("db2;db2").find("levels is 3"), std::string::npos);
}

TEST_F(EvolutionTest, AGenomeOfOneStageNeedNotBeHaar) {
  const BasisFunction basis(Angles{{0.2}, {-1.0}});
  EXPECT_EQ(basis.angles(), (Angles{{0.2}, {-1.0}}));
  EXPECT_NEAR(basis.wavelet().rec_lo()[0], std::cos(0.2), 1e-12);
  BasisFunction::Random random(1);
  const auto child = basis.mutated(0.3, {1, 2, PlaceFourier}, random);
  EXPECT_NE(child.angles()[0], (std::vector<double>{std::numbers::pi / 4}));
}

TEST_F(EvolutionTest, AGenomeReachesTheModelsForward) {
  const auto tokens = torch::randint(17, {2, 20}, torch::kLong);
  const auto logits = [&](const BasisFunction& basis) {
    torch::manual_seed(5);
    SignalLLM m(with_basis(
        SignalLLMOptions(17)
            .dim(16)
            .layers(1)
            .attention_fraction(0.5)
            .max_length(32)
            .filters(FilterTraining::Fixed),
        basis));
    return m->forward(tokens);
  };
  const Angles angles{{0.3, 0.9, -0.2}, {0.5, -0.1, 0.4}};
  auto other = angles;
  std::swap(other[1][0], other[1][1]);
  for (const auto place : {PlaceAttention, PlaceFourier, PlaceFeedForward}) {
    const BasisFunction basis(angles, place);
    expect_close(logits(basis), logits(basis), 0);
    // The second level's bank counts.
    EXPECT_GT(
        max_error(logits(basis), logits(BasisFunction(other, place))), 1e-5);
    for (const auto elsewhere : {PlaceAttention, PlaceFourier}) {
      EXPECT_EQ(
          max_error(logits(basis), logits(BasisFunction(angles, elsewhere))) ==
              0,
          place == elsewhere);
    }
  }
  EXPECT_EQ(
      places_to_string(parse_places("fourier,attention")), "attention,fourier");
  EXPECT_NE(
      message_of([] {
        parse_places("fourier,head");
      }).find("'head' is no place for a wavelet; there are attention"),
      std::string::npos);
}

TEST_F(EvolutionTest, FindsTheBestPlace) {
  HRFEvoController search(
      HRFEvoOptions().start({"haar", "coif1"}).population(16), distances());
  double last = INFINITY;
  for (int generation = 0; generation < 40; ++generation) {
    search.step();
    EXPECT_LE(search.best().score.loss, last);
    last = search.best().score.loss;
  }
  EXPECT_LT(last, 0.02);
  EXPECT_EQ(search.history().size(), 16u * 40u);
  const auto front = search.front();
  for (size_t i = 1; i < front.size(); ++i) {
    EXPECT_GE(front[i].score.cost, front[i - 1].score.cost);
    EXPECT_LE(front[i].score.loss, front[i - 1].score.loss);
  }
  // By chance alone it does not.
  HRFEvoController chance(
      HRFEvoOptions()
          .search(SearchKind::Random)
          .start({"haar", "coif1"})
          .population(16),
      distances());
  for (int generation = 0; generation < 40; ++generation) {
    chance.step();
  }
  EXPECT_EQ(chance.history().size(), 16u * 40u);
  EXPECT_GT(chance.best().score.loss, last);
  EXPECT_TRUE(chance.history().back().parents.empty());
}

TEST_F(EvolutionTest, MeasuresNoGenomeTwice) {
  std::set<std::string> seen;
  HRFEvoController search(
      HRFEvoOptions().start({"db2", "sym2", "haar", "db1"}).population(6),
      HRFEvoController::each([&](const BasisTrial& trial) {
        EXPECT_TRUE(seen.insert(trial.individual.basis.key()).second);
        return distance(trial.individual.basis);
      }));
  for (int generation = 0; generation < 10; ++generation) {
    search.step();
  }
  EXPECT_EQ(seen.size(), 60u);
}

TEST_F(EvolutionTest, TheBetterHalfClimbsTheRungs) {
  std::vector<std::vector<int64_t>> asked; // ids of each call
  HRFEvoController search(
      HRFEvoOptions().population(8).rungs(3),
      [&](const std::vector<BasisTrial>& trials) {
        asked.emplace_back();
        std::vector<BasisScore> scores;
        for (const auto& trial : trials) {
          // What counts on a rung is its own score: the order turns there.
          const auto id = trial.individual.id;
          asked.back().push_back(id);
          EXPECT_EQ(
              trial.individual.rung, std::max<int64_t>(trial.rung - 1, 0));
          scores.push_back(
              {static_cast<double>(trial.rung == 0 ? id : -id), 1});
        }
        return scores;
      });
  search.step();
  // The last is the reference, which is always measured to the end.
  EXPECT_EQ(
      asked,
      (std::vector<std::vector<int64_t>>{
          {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3}, {2, 3}, {0}}));
  EXPECT_EQ(search.best().id, 3);
  EXPECT_EQ(search.population()[0].id, 3);
  EXPECT_EQ(search.history()[7].rung, 0);
  EXPECT_EQ(search.history()[1].rung, 1);
}

TEST_F(EvolutionTest, ALuckySeedDoesNotWin) {
  // The third genome is lucky with its first seed only.
  HRFEvoController search(
      HRFEvoOptions().population(5).seeds(3),
      HRFEvoController::each([&](const BasisTrial& trial) {
        const auto id = trial.individual.id;
        const double noise = 0.1 * static_cast<double>(trial.seed);
        if (id == 2) {
          return BasisScore{(trial.seed == 0 ? 9.5 : 11) + noise, 1};
        }
        return BasisScore{id % 2 == 1 ? 9.8 + 2 * noise : 10 + noise, 1};
      }));
  search.step();
  EXPECT_EQ(search.best().id, 1);
  EXPECT_EQ(search.best().losses.size(), 3u);
  // 0.2, 0.1 and 0 below the reference, whose mean is 10.1.
  EXPECT_NEAR(search.best().score.loss, 10, 1e-12);
  EXPECT_NEAR(search.spread(search.best()), 0.1, 1e-12);
  EXPECT_EQ(search.history()[2].losses.size(), 3u); // it claimed the front
  EXPECT_EQ(search.history()[0].losses.size(), 3u); // the reference
  EXPECT_EQ(search.history()[4].losses.size(), 1u);
}

TEST_F(EvolutionTest, GenomesAreComparedWithTheSameSeeds) {
  // All seeds but the first are easy: who has not had them must not seem worse.
  HRFEvoController search(
      HRFEvoOptions().population(4).seeds(3),
      HRFEvoController::each([&](const BasisTrial& trial) {
        const auto id = static_cast<double>(trial.individual.id);
        return BasisScore{(trial.seed == 0 ? 20 : 10) - 0.01 * id, 1};
      }));
  search.step();
  search.step();
  EXPECT_EQ(search.best().id, 7);
  EXPECT_EQ(search.best().losses.size(), 3u);
  EXPECT_EQ(search.history()[3].losses.size(), 3u); // the first generation's
  EXPECT_NEAR(search.best().score.loss, 40.0 / 3 - 0.07, 1e-9);
  EXPECT_NEAR(search.spread(search.best()), 0, 1e-9);
}

TEST_F(EvolutionTest, GoesOnAsIfItHadNeverStopped) {
  for (const auto kind : {SearchKind::Evolve, SearchKind::Random}) {
    const auto options =
        HRFEvoOptions().search(kind).population(4).seed(9).rungs(2).seeds(2);
    HRFEvoController whole(options, distances());
    HRFEvoController first(options, distances());
    for (int i = 0; i < 3; ++i) {
      whole.step();
      first.step();
    }
    auto second = HRFEvoController::from_json(first.to_json(), distances());
    for (int i = 0; i < 3; ++i) {
      whole.step();
      second.step();
    }
    EXPECT_EQ(second.to_json(), whole.to_json());
  }
}

TEST_F(EvolutionTest, AsksForTheSameTrialsAfterAnInterruption) {
  std::vector<std::string> asked;
  int left = 1000;
  struct Stop {};
  const auto evaluate = HRFEvoController::each([&](const BasisTrial& trial) {
    if (left-- == 0) {
      throw Stop();
    }
    asked.push_back(
        std::to_string(trial.number) + trial.individual.basis.to_json());
    return distance(trial.individual.basis);
  });
  const auto options = HRFEvoOptions().population(4).rungs(2).seeds(2);
  HRFEvoController whole(options, evaluate);
  whole.step();
  whole.step();
  const auto expected = asked;
  asked.clear();
  HRFEvoController broken(options, evaluate);
  broken.step();
  const auto before = broken.to_json();
  const auto begun = asked.size();
  left = 3;
  EXPECT_THROW(broken.step(), Stop);
  EXPECT_EQ(broken.to_json(), before);
  asked.resize(begun);
  left = 1000;
  broken.step();
  EXPECT_EQ(asked, expected);
  EXPECT_EQ(broken.to_json(), whole.to_json());
}

TEST_F(EvolutionTest, ADivergedTrainingDoesNotWin) {
  int calls = 0;
  HRFEvoController search(
      HRFEvoOptions().population(4),
      HRFEvoController::each([&](const BasisTrial&) {
        return BasisScore{++calls == 2 ? NAN : 1.0, 1.0};
      }));
  search.step();
  EXPECT_EQ(search.best().score.loss, 1.0);
  EXPECT_EQ(search.front().size(), 3u);
}

TEST_F(EvolutionTest, RanksByDominance) {
  const auto ranks =
      pareto_ranks({{1, 3}, {2, 2}, {3, 1}, {2, 3}, {3, 3}, {1, 3}});
  EXPECT_EQ(ranks, (std::vector<int64_t>{0, 0, 0, 1, 2, 0}));
}

TEST_F(EvolutionTest, RefusesAStartOfOtherLevelsThanAreHeld) {
  const auto refused = [](const char* start, int64_t levels) {
    return message_of([&] {
      HRFEvoController(
          HRFEvoOptions().start({start}).levels(levels).limits(
              {8, 3, PlaceFourier, true, true}),
          distances());
    });
  };
  EXPECT_NE(
      refused("db2", 2).find("db2 begins with 2 levels, but the limits hold 3"),
      std::string::npos);
  EXPECT_NE(
      refused("db2;sym2", 3).find("begins with 2 levels"), std::string::npos);
}

TEST_F(EvolutionTest, RefusesWhatIsDamaged) {
  const auto evaluate = distances();
  EXPECT_NE(
      message_of([&] {
        HRFEvoController::from_json("{}", evaluate);
      }).find("HRFEvoController::from_json: damaged"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        BasisFunction::from_json("{\"angles\": [[1, \"a\"]]}");
      }).find("expected an object with angles"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        BasisFunction(Angles{{1, 2}, {1}});
      }).find("as many in each level"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        parse_search_kind("anneal");
      }).find("allowed are evolve and random"),
      std::string::npos);
}
