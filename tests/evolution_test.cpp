#include "support.h"

#include <signalllm/evolution.h>
#include <signalllm/functional.h>
#include <signalllm/nn/model.h>

#include <rapidcheck/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

using namespace signalllm;
using namespace signalllm::test;

struct EvolutionTest : SeedingFixture {
  /// A landscape with a known best place: angles near `wanted`, cheap.
  static BasisScore distance(const BasisFunction& basis) {
    const auto wanted = Wavelet("db2").rec_lo();
    const auto have = basis.wavelet().rec_lo();
    double sum = 0;
    for (size_t i = 0; i < std::max(wanted.size(), have.size()); ++i) {
      const auto a = i < wanted.size() ? wanted[i] : 0;
      const auto b = i < have.size() ? have[i] : 0;
      sum += (a - b) * (a - b);
    }
    return {sum, static_cast<double>(basis.multiply_adds())};
  }
};

RC_GTEST_PROP(BasisFunctionProperty, AlwaysReconstructs, ()) {
  BasisFunction::Random random(*rc::gen::arbitrary<uint64_t>());
  const auto some = [&] {
    std::vector<double> angles(*rc::gen::inRange(1, 9));
    std::uniform_real_distribution<double> any(-7, 7);
    for (auto& angle : angles) {
      angle = any(random);
    }
    return BasisFunction(angles, *rc::gen::inRange(1, 6));
  };
  const auto child = some().crossed(some(), random).mutated(1.0, 8, 6, random);
  RC_ASSERT(child.levels() >= 1 && child.levels() <= 6);
  RC_ASSERT(child.angles().size() >= 1 && child.angles().size() <= 8);
  const auto w = child.wavelet();
  RC_ASSERT(w.is_orthogonal(1e-12));
  RC_ASSERT(w.reconstruction_error() < 1e-12);
  const auto& lo = w.rec_lo();
  RC_ASSERT(
      std::abs(
          std::accumulate(lo.begin(), lo.end(), 0.0) - std::numbers::sqrt2) <
      1e-12);
  const auto back = BasisFunction::from_json(child.to_json());
  RC_ASSERT(back.angles() == child.angles());
  RC_ASSERT(back.levels() == child.levels());
}

TEST_F(EvolutionTest, AListedWaveletComesBack) {
  for (const auto* name : {"haar", "db4", "sym5", "coif2"}) {
    const Wavelet w(name);
    const BasisFunction basis(w, 3);
    EXPECT_EQ(basis.family(), name);
    for (size_t i = 0; i < w.rec_lo().size(); ++i) {
      EXPECT_NEAR(basis.wavelet().rec_lo()[i], w.rec_lo()[i], 1e-8) << name;
    }
  }
  EXPECT_NE(
      message_of([] {
        BasisFunction(Wavelet("bior2.2"), 3);
      }).find("'bior2.2' is not orthogonal"),
      std::string::npos);
}

TEST_F(EvolutionTest, AGenomeReachesTheModelsForward) {
  const auto tokens = torch::randint(17, {2, 20}, torch::kLong);
  const auto logits = [&](const BasisFunction& basis) {
    torch::manual_seed(5);
    SignalLLM m(SignalLLMOptions(17)
                    .dim(16)
                    .layers(1)
                    .max_length(32)
                    .attention_filter(FilterKind::Wavelet)
                    .wavelet(basis.wavelet().name())
                    .levels(basis.levels()));
    return m->forward(tokens);
  };
  const BasisFunction basis({0.3, 0.9, -0.2}, 3);
  BasisFunction::Random random(1);
  const auto other = basis.mutated(0.5, 3, 3, random);
  expect_close(logits(basis), logits(basis), 0);
  EXPECT_GT(max_error(logits(basis), logits(other)), 1e-4);
}

TEST_F(EvolutionTest, FindsTheBestPlace) {
  HRFEvoController search(
      HRFEvoOptions().start({"haar", "coif1"}).population(16), distance);
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
}

TEST_F(EvolutionTest, GoesOnAsIfItHadNeverStopped) {
  const auto options = HRFEvoOptions().population(4).seed(9);
  HRFEvoController whole(options, distance);
  HRFEvoController first(options, distance);
  for (int i = 0; i < 3; ++i) {
    whole.step();
    first.step();
  }
  auto second = HRFEvoController::from_json(first.to_json(), distance);
  for (int i = 0; i < 3; ++i) {
    whole.step();
    second.step();
  }
  EXPECT_EQ(second.to_json(), whole.to_json());
}

TEST_F(EvolutionTest, ADivergedTrainingDoesNotWin) {
  int calls = 0;
  HRFEvoController search(
      HRFEvoOptions().population(4), [&](const BasisFunction&) {
        return BasisScore{++calls == 2 ? NAN : 1.0, 1.0};
      });
  search.step();
  EXPECT_EQ(search.best().score.loss, 1.0);
  EXPECT_EQ(search.front().size(), 3u);
}

TEST_F(EvolutionTest, RanksByDominance) {
  const auto ranks =
      pareto_ranks({{1, 3}, {2, 2}, {3, 1}, {2, 3}, {3, 3}, {1, 3}});
  EXPECT_EQ(ranks, (std::vector<int64_t>{0, 0, 0, 1, 2, 0}));
}

TEST_F(EvolutionTest, RefusesWhatIsDamaged) {
  const auto evaluate = distance;
  EXPECT_NE(
      message_of([&] {
        HRFEvoController::from_json("{}", evaluate);
      }).find("HRFEvoController::from_json: damaged"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        BasisFunction::from_json("{\"angles\": [1, \"a\"]}");
      }).find("expected an object with angles"),
      std::string::npos);
}
