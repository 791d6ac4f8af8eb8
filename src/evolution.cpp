#include <signalllm/evolution.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <numeric>
#include <sstream>

namespace signalllm {
namespace {

bool dominates(const BasisScore& a, const BasisScore& b) {
  return a.loss <= b.loss && a.cost <= b.cost &&
      (a.loss < b.loss || a.cost < b.cost);
}

/// How far a score's neighbours of the same rank are, as shares of the range;
/// the ends of a rank count as alone.
std::vector<double> crowding(
    const std::vector<Individual>& all,
    const std::vector<int64_t>& ranks) {
  std::vector<double> distance(all.size(), 0);
  const auto last = *std::max_element(ranks.begin(), ranks.end());
  for (int64_t rank = 0; rank <= last; ++rank) {
    std::vector<size_t> members;
    for (size_t i = 0; i < all.size(); ++i) {
      if (ranks[i] == rank) {
        members.push_back(i);
      }
    }
    for (const auto axis : {&BasisScore::loss, &BasisScore::cost}) {
      const auto value = [&](size_t i) { return all[i].score.*axis; };
      std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) {
        return value(a) < value(b);
      });
      const auto range = value(members.back()) - value(members.front());
      distance[members.front()] = distance[members.back()] =
          std::numeric_limits<double>::infinity();
      for (size_t i = 1; i + 1 < members.size() && range > 0; ++i) {
        distance[members[i]] +=
            (value(members[i + 1]) - value(members[i - 1])) / range;
      }
    }
  }
  return distance;
}

/// The best `count`, the best first.
std::vector<Individual> survivors(
    const std::vector<Individual>& all,
    int64_t count) {
  std::vector<BasisScore> scores;
  for (const auto& one : all) {
    scores.push_back(one.score);
  }
  const auto ranks = pareto_ranks(scores);
  const auto room = crowding(all, ranks);
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return ranks[a] != ranks[b] ? ranks[a] < ranks[b] : room[a] > room[b];
  });
  std::vector<Individual> out;
  for (const auto i : order) {
    if (static_cast<int64_t>(out.size()) < count) {
      out.push_back(all[i]);
    }
  }
  return out;
}

nlohmann::ordered_json as_json(const Individual& one) {
  return {
      {"id", one.id},
      {"generation", one.generation},
      {"parents", one.parents},
      {"basis", nlohmann::ordered_json::parse(one.basis.to_json())},
      {"loss", one.score.loss},
      {"cost", one.score.cost},
      {"seconds", one.score.seconds}};
}

Individual individual_from(const nlohmann::ordered_json& json) {
  return {
      json.at("id").get<int64_t>(),
      json.at("generation").get<int64_t>(),
      json.at("parents").get<std::vector<int64_t>>(),
      BasisFunction::from_json(json.at("basis").dump()),
      {json.at("loss").get<double>(),
       json.at("cost").get<double>(),
       json.at("seconds").get<double>()}};
}

} // namespace

std::vector<int64_t> pareto_ranks(const std::vector<BasisScore>& scores) {
  std::vector<int64_t> ranks(scores.size(), -1);
  size_t left = scores.size();
  for (int64_t rank = 0; left > 0; ++rank) {
    std::vector<size_t> free;
    for (size_t i = 0; i < scores.size(); ++i) {
      bool beaten = ranks[i] >= 0;
      for (size_t j = 0; j < scores.size() && !beaten; ++j) {
        beaten = ranks[j] < 0 && dominates(scores[j], scores[i]);
      }
      if (!beaten) {
        free.push_back(i);
      }
    }
    for (const auto i : free) {
      ranks[i] = rank;
    }
    left -= free.size();
  }
  return ranks;
}

HRFEvoController::HRFEvoController(
    const HRFEvoOptions& options,
    Evaluate evaluate)
    : options_(options), evaluate_(std::move(evaluate)),
      random_(options.seed()) {
  TORCH_CHECK(
      options.population() >= 2,
      "HRFEvoController: population is ",
      options.population(),
      ", it must be at least 2");
  TORCH_CHECK(
      !options.start().empty(),
      "HRFEvoController: start is empty, it must name a wavelet");
  TORCH_CHECK(
      options.levels() >= 1 && options.levels() <= options.max_levels() &&
          options.max_stages() >= 1,
      "HRFEvoController: levels is ",
      options.levels(),
      " and max_stages ",
      options.max_stages(),
      ", allowed are 1 to max_levels = ",
      options.max_levels(),
      " and at least 1");
  TORCH_CHECK(
      options.mutation() > 0,
      "HRFEvoController: mutation is ",
      options.mutation(),
      ", it must be positive");
}

Individual HRFEvoController::evaluated(
    BasisFunction basis,
    std::vector<int64_t> parents) {
  auto score = evaluate_(basis);
  // A diverged training must not win by comparing false with everything.
  if (!(score.loss < std::numeric_limits<double>::max())) {
    score.loss = std::numeric_limits<double>::max();
  }
  history_.push_back(
      {static_cast<int64_t>(history_.size()),
       generation_,
       std::move(parents),
       std::move(basis),
       score});
  return history_.back();
}

const Individual& HRFEvoController::tournament() {
  std::uniform_int_distribution<size_t> any(0, population_.size() - 1);
  // The population is sorted.
  const auto a = any(random_);
  const auto b = any(random_);
  return population_[std::min(a, b)];
}

void HRFEvoController::step() {
  std::vector<Individual> all = population_;
  for (int64_t i = 0; i < options_.population(); ++i) {
    if (generation_ > 0) {
      const auto& a = tournament();
      const auto& b = tournament();
      all.push_back(evaluated(
          a.basis.crossed(b.basis, random_)
              .mutated(
                  options_.mutation(),
                  options_.max_stages(),
                  options_.max_levels(),
                  random_),
          {a.id, b.id}));
      continue;
    }
    const auto& names = options_.start();
    BasisFunction basis(
        Wavelet(names[static_cast<size_t>(i) % names.size()]),
        options_.levels());
    if (i >= static_cast<int64_t>(names.size())) {
      basis = basis.mutated(
          options_.mutation(),
          options_.max_stages(),
          options_.max_levels(),
          random_);
    }
    all.push_back(evaluated(basis, {}));
  }
  population_ = survivors(all, options_.population());
  ++generation_;
}

std::vector<Individual> HRFEvoController::front() const {
  std::vector<Individual> out;
  for (const auto& one : history_) {
    if (std::none_of(history_.begin(), history_.end(), [&](const auto& other) {
          return dominates(other.score, one.score);
        })) {
      out.push_back(one);
    }
  }
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
        return a.score.loss < b.score.loss;
      });
}

std::string HRFEvoController::to_json() const {
  std::ostringstream random;
  random << random_;
  nlohmann::ordered_json json = {
      {"options",
       {{"population", options_.population()},
        {"start", options_.start()},
        {"levels", options_.levels()},
        {"max_levels", options_.max_levels()},
        {"max_stages", options_.max_stages()},
        {"mutation", options_.mutation()},
        {"seed", options_.seed()}}},
      {"generation", generation_},
      {"random", random.str()},
      {"population", nlohmann::ordered_json::array()},
      {"history", nlohmann::ordered_json::array()}};
  for (const auto& one : population_) {
    json["population"].push_back(one.id);
  }
  for (const auto& one : history_) {
    json["history"].push_back(as_json(one));
  }
  return json.dump(1) + "\n";
}

HRFEvoController HRFEvoController::from_json(
    const std::string& text,
    Evaluate evaluate) {
  try {
    const auto json = nlohmann::ordered_json::parse(text);
    const auto& o = json.at("options");
    HRFEvoController search(
        HRFEvoOptions()
            .population(o.at("population").get<int64_t>())
            .start(o.at("start").get<std::vector<std::string>>())
            .levels(o.at("levels").get<int64_t>())
            .max_levels(o.at("max_levels").get<int64_t>())
            .max_stages(o.at("max_stages").get<int64_t>())
            .mutation(o.at("mutation").get<double>())
            .seed(o.at("seed").get<uint64_t>()),
        std::move(evaluate));
    search.generation_ = json.at("generation").get<int64_t>();
    std::istringstream random(json.at("random").get<std::string>());
    random >> search.random_;
    for (const auto& one : json.at("history")) {
      search.history_.push_back(individual_from(one));
    }
    for (const auto& id : json.at("population")) {
      search.population_.push_back(search.history_.at(id.get<size_t>()));
    }
    return search;
  } catch (const nlohmann::json::exception& error) {
    TORCH_CHECK(false, "HRFEvoController::from_json: damaged: ", error.what());
  } catch (const std::out_of_range&) {
    TORCH_CHECK(
        false, "HRFEvoController::from_json: damaged: an id is not in history");
  }
}

} // namespace signalllm
