#include <signalllm/evolution.h>

#include "names.h"
#include "pareto.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace signalllm {

namespace {

constexpr Name<SearchKind> kSearches[] = {
    {SearchKind::Evolve, "evolve"},
    {SearchKind::Random, "random"},
};

} // namespace

const char* to_string(SearchKind kind) {
  return name_of(kSearches, kind);
}

SearchKind parse_search_kind(const std::string& name) {
  return parse_name(kSearches, "parse_search_kind", "a search", name);
}

namespace {

/// Those that the name has one each for, or else those of the options.
int64_t levels_of(const std::string& names, const HRFEvoOptions& options) {
  const auto own = static_cast<int64_t>(wavelets_of_levels(names).size());
  return own > 1 ? own : options.levels();
}

void check(const HRFEvoOptions& options) {
  const auto at_least = [](const char* name, auto value, int64_t least) {
    TORCH_CHECK(
        value >= least,
        "HRFEvoController: ",
        name,
        " is ",
        value,
        ", it must be at least ",
        least);
  };
  at_least("population", options.population(), 2);
  at_least("limits.stages", options.limits().stages, 1);
  at_least("limits.levels", options.limits().levels, 1);
  at_least("rungs", options.rungs(), 1);
  at_least("seeds", options.seeds(), 1);
  TORCH_CHECK(
      !options.start().empty(),
      "HRFEvoController: start is empty, it must name a wavelet");
  TORCH_CHECK(
      options.levels() >= 1 && options.levels() <= options.limits().levels,
      "HRFEvoController: levels is ",
      options.levels(),
      ", allowed are 1 to limits.levels = ",
      options.limits().levels);
  for (const auto& names : options.start()) {
    const auto levels = levels_of(names, options);
    TORCH_CHECK(
        !options.limits().hold_levels || levels == options.limits().levels,
        "HRFEvoController: ",
        names,
        " begins with ",
        levels,
        " levels, but the limits hold ",
        options.limits().levels);
  }
  TORCH_CHECK(
      options.mutation() > 0,
      "HRFEvoController: mutation is ",
      options.mutation(),
      ", it must be positive");
}

constexpr auto worst = std::numeric_limits<double>::max();

double mean(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const auto value : values) {
    sum += value / count; // so that the worst one's mean is finite
  }
  return sum;
}

} // namespace

HRFEvoController::Evaluate HRFEvoController::each(
    std::function<BasisScore(const BasisTrial&)> evaluate) {
  return [evaluate = std::move(evaluate)](const auto& trials) {
    std::vector<BasisScore> scores;
    for (const auto& trial : trials) {
      scores.push_back(evaluate(trial));
    }
    return scores;
  };
}

HRFEvoController::HRFEvoController(
    const HRFEvoOptions& options,
    Evaluate evaluate)
    : options_(options), evaluate_(std::move(evaluate)),
      random_(options.seed()) {
  check(options);
}

void HRFEvoController::step() {
  auto next = *this;
  next.advance();
  *this = std::move(next);
}

void HRFEvoController::advance() {
  std::vector<int64_t> alive;
  for (int64_t i = 0; i < options_.population(); ++i) {
    std::vector<int64_t> parents;
    auto basis = generation_ == 0 ? beginning(i) : offspring(parents);
    while (!known_.insert(basis.key()).second) {
      basis = basis.mutated(options_.mutation(), options_.limits(), random_);
    }
    alive.push_back(static_cast<int64_t>(history_.size()));
    history_.push_back(
        {alive.back(),
         generation_,
         std::move(parents),
         std::move(basis),
         0,
         {},
         {}});
  }
  auto all = population_;
  all.insert(all.end(), alive.begin(), alive.end());
  for (int64_t rung = 0; rung < options_.rungs(); ++rung) {
    if (rung > 0) {
      alive = ranked(alive);
      alive.resize((alive.size() + 1) / 2);
      std::sort(alive.begin(), alive.end());
    }
    measure(alive, rung, 1);
  }
  confirm_front();
  population_ = ranked(all);
  population_.resize(static_cast<size_t>(options_.population()));
  ++generation_;
}

BasisFunction HRFEvoController::beginning(int64_t index) {
  const auto& names = options_.start();
  const auto& name = names[static_cast<size_t>(index) % names.size()];
  const BasisFunction basis(
      name, levels_of(name, options_), options_.limits().places);
  return index < static_cast<int64_t>(names.size())
      ? basis
      : basis.mutated(options_.mutation(), options_.limits(), random_);
}

BasisFunction HRFEvoController::offspring(std::vector<int64_t>& parents) {
  if (options_.search() == SearchKind::Random) {
    return BasisFunction::any(options_.limits(), random_);
  }
  parents = {tournament(), tournament()};
  const auto& a = history_[static_cast<size_t>(parents[0])].basis;
  const auto& b = history_[static_cast<size_t>(parents[1])].basis;
  return a.crossed(b, random_)
      .mutated(options_.mutation(), options_.limits(), random_);
}

int64_t HRFEvoController::tournament() {
  std::uniform_int_distribution<size_t> any(0, population_.size() - 1);
  // The population is sorted.
  const auto a = any(random_);
  const auto b = any(random_);
  return population_[std::min(a, b)];
}

void HRFEvoController::measure(
    const std::vector<int64_t>& ids,
    int64_t rung,
    int64_t seeds) {
  std::vector<BasisTrial> trials;
  for (const auto id : ids) {
    const auto& one = history_[static_cast<size_t>(id)];
    for (auto seed = static_cast<int64_t>(one.losses.size()); seed < seeds;
         ++seed) {
      trials.push_back({trials_++, one, rung, seed});
    }
  }
  if (trials.empty()) {
    return;
  }
  const auto scores = evaluate_(trials);
  TORCH_CHECK(
      scores.size() == trials.size(),
      "HRFEvoController: evaluate gave ",
      scores.size(),
      " scores for ",
      trials.size(),
      " trials");
  for (size_t i = 0; i < trials.size(); ++i) {
    auto score = scores[i];
    // A diverged training must not win by comparing false with everything.
    if (!(score.loss < worst)) {
      score.loss = worst;
    }
    auto& one = history_[static_cast<size_t>(trials[i].individual.id)];
    one.rung = rung;
    if (rung + 1 == options_.rungs()) {
      one.losses.push_back(score.loss);
    }
    one.score = score;
  }
  compare_with_reference();
}

std::vector<double> HRFEvoController::differences(const Individual& one) const {
  const auto& reference = history_[0].losses;
  std::vector<double> differences;
  for (size_t seed = 0; seed < one.losses.size() && seed < reference.size();
       ++seed) {
    differences.push_back(one.losses[seed] - reference[seed]);
  }
  return differences;
}

void HRFEvoController::compare_with_reference() {
  const auto level = mean(history_[0].losses);
  for (auto& one : history_) {
    if (const auto above = differences(one); !above.empty()) {
      one.score.loss = std::min(level + mean(above), worst);
    }
  }
}

double HRFEvoController::spread(const Individual& one) const {
  const auto above = differences(one);
  if (above.size() < 2) {
    return 0;
  }
  const auto middle = mean(above);
  double sum = 0;
  for (const auto value : above) {
    sum += (value - middle) * (value - middle);
  }
  return std::sqrt(sum / static_cast<double>(above.size() - 1));
}

void HRFEvoController::confirm_front() {
  measure({0}, options_.rungs() - 1, options_.seeds());
  const auto seeds = static_cast<size_t>(options_.seeds());
  for (;;) {
    std::vector<int64_t> few;
    for (const auto& one : history_) {
      if (one.losses.size() < seeds && on_front(one)) {
        few.push_back(one.id);
      }
    }
    if (few.empty()) {
      return;
    }
    measure(few, options_.rungs() - 1, options_.seeds());
  }
}

std::vector<int64_t> HRFEvoController::ranked(std::vector<int64_t> ids) const {
  std::vector<int64_t> order;
  for (auto rung = options_.rungs() - 1; rung >= 0; --rung) {
    std::vector<int64_t> level;
    std::vector<BasisScore> scores;
    for (const auto id : ids) {
      const auto& one = history_[static_cast<size_t>(id)];
      if (one.rung == rung) {
        level.push_back(id);
        scores.push_back(one.score);
      }
    }
    const auto ranks = pareto_ranks(scores);
    const auto room = crowding(scores, ranks);
    std::vector<size_t> places(level.size());
    std::iota(places.begin(), places.end(), size_t{0});
    std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
      return ranks[a] != ranks[b] ? ranks[a] < ranks[b] : room[a] > room[b];
    });
    for (const auto place : places) {
      order.push_back(level[place]);
    }
  }
  return order;
}

std::vector<Individual> HRFEvoController::population() const {
  std::vector<Individual> out;
  for (const auto id : population_) {
    out.push_back(history_[static_cast<size_t>(id)]);
  }
  return out;
}

bool HRFEvoController::on_front(const Individual& one) const {
  return !one.losses.empty() &&
      std::none_of(history_.begin(), history_.end(), [&](const auto& other) {
        return !other.losses.empty() && dominates(other.score, one.score);
      });
}

std::vector<Individual> HRFEvoController::front() const {
  std::vector<Individual> out;
  std::copy_if(
      history_.begin(),
      history_.end(),
      std::back_inserter(out),
      [&](const auto& one) { return on_front(one); });
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.score.cost < b.score.cost;
  });
  return out;
}

const Individual& HRFEvoController::best() const {
  TORCH_CHECK(
      !history_.empty(), "HRFEvoController::best: nothing was evaluated yet");
  return *std::min_element(
      history_.begin(), history_.end(), [](const auto& a, const auto& b) {
        return a.losses.empty() != b.losses.empty()
            ? b.losses.empty()
            : a.score.loss < b.score.loss;
      });
}

} // namespace signalllm
