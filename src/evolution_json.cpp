// A search as text and back.

#include <signalllm/evolution.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace signalllm {
namespace {

using Ordered = nlohmann::ordered_json;

Ordered as_json(const Individual& one) {
  return {
      {"id", one.id},
      {"generation", one.generation},
      {"parents", one.parents},
      {"basis", Ordered::parse(one.basis.to_json())},
      {"rung", one.rung},
      {"loss", one.score.loss},
      {"cost", one.score.cost},
      {"seconds", one.score.seconds},
      {"bytes", one.score.bytes},
      {"losses", one.losses}};
}

Individual individual_from(const Ordered& json) {
  const auto number = [&](const char* name) {
    return json.at(name).get<double>();
  };
  return {
      json.at("id").get<int64_t>(),
      json.at("generation").get<int64_t>(),
      json.at("parents").get<std::vector<int64_t>>(),
      BasisFunction::from_json(json.at("basis").dump()),
      json.at("rung").get<int64_t>(),
      {number("loss"), number("cost"), number("seconds"), number("bytes")},
      json.at("losses").get<std::vector<double>>()};
}

Ordered as_json(const HRFEvoOptions& options) {
  return {
      {"search", to_string(options.search())},
      {"population", options.population()},
      {"start", options.start()},
      {"levels", options.levels()},
      {"max_stages", options.limits().stages},
      {"max_levels", options.limits().levels},
      {"places", places_to_string(options.limits().places)},
      {"hold_levels", options.limits().hold_levels},
      {"hold_places", options.limits().hold_places},
      {"mutation", options.mutation()},
      {"rungs", options.rungs()},
      {"seeds", options.seeds()},
      {"seed", options.seed()}};
}

HRFEvoOptions options_from(const Ordered& json) {
  const auto whole = [&](const char* name) {
    return json.at(name).get<int64_t>();
  };
  const auto text = [&](const char* name) {
    return json.at(name).get<std::string>();
  };
  return HRFEvoOptions()
      .search(parse_search_kind(text("search")))
      .population(whole("population"))
      .start(json.at("start").get<std::vector<std::string>>())
      .levels(whole("levels"))
      .limits(
          {whole("max_stages"),
           whole("max_levels"),
           parse_places(text("places")),
           json.at("hold_levels").get<bool>(),
           json.at("hold_places").get<bool>()})
      .mutation(json.at("mutation").get<double>())
      .rungs(whole("rungs"))
      .seeds(whole("seeds"))
      .seed(json.at("seed").get<uint64_t>());
}

} // namespace

std::string HRFEvoController::to_json() const {
  std::ostringstream random;
  random << random_;
  Ordered json = {
      {"options", as_json(options_)},
      {"generation", generation_},
      {"trials", trials_},
      {"random", random.str()},
      {"population", population_},
      {"history", Ordered::array()}};
  for (const auto& one : history_) {
    json["history"].push_back(as_json(one));
  }
  return json.dump(1) + "\n";
}

HRFEvoController HRFEvoController::from_json(
    const std::string& text,
    Evaluate evaluate) {
  try {
    const auto json = Ordered::parse(text);
    HRFEvoController search(
        options_from(json.at("options")), std::move(evaluate));
    search.generation_ = json.at("generation").get<int64_t>();
    search.trials_ = json.at("trials").get<int64_t>();
    std::istringstream random(json.at("random").get<std::string>());
    random >> search.random_;
    for (const auto& one : json.at("history")) {
      search.history_.push_back(individual_from(one));
      search.known_.insert(search.history_.back().basis.key());
    }
    search.population_ = json.at("population").get<std::vector<int64_t>>();
    for (const auto id : search.population_) {
      TORCH_CHECK(
          id >= 0 && id < static_cast<int64_t>(search.history_.size()),
          "HRFEvoController::from_json: damaged: ",
          id,
          " of the population is not in the history");
    }
    return search;
  } catch (const nlohmann::json::exception& error) {
    TORCH_CHECK(false, "HRFEvoController::from_json: damaged: ", error.what());
  }
}

} // namespace signalllm
