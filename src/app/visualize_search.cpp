#include "app/evolve_history.h"
#include "app/evolve_search.h"
#include "app/visualize.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <numbers>

namespace signalllm::app {
namespace {

/// The history has no more.
struct HistoryEnds {};

Json scaled(const std::vector<double>& taps, double factor) {
  Json numbers = Json::array();
  for (const auto tap : taps) {
    numbers.push_back(tap * factor);
  }
  return numbers;
}

/// The filters as the model has them (see `CausalFilter`), the finest level's
/// first.
Json filters_of(const BasisFunction& basis) {
  Json low = Json::array(), high = Json::array();
  for (int64_t level = 0; level < basis.levels(); ++level) {
    const auto wavelet = basis.wavelet(level);
    low.push_back(scaled(wavelet.rec_lo(), 1 / std::numbers::sqrt2));
    high.push_back(scaled(wavelet.rec_hi(), -1 / std::numbers::sqrt2));
  }
  return {{"low", low}, {"high", high}};
}

Json individual(const HRFEvoController& search, const Individual& one) {
  return {
      {"id", one.id},
      {"generation", one.generation},
      {"parents", one.parents},
      {"family", one.basis.family()},
      {"taps", 2 * one.basis.stages()},
      {"levels", one.basis.levels()},
      {"places", places_to_string(one.basis.places())},
      {"rung", one.rung},
      {"loss", one.score.loss},
      {"cost", one.score.cost},
      {"seeds", one.losses.size()},
      {"spread", search.spread(one)}};
}

} // namespace

bool is_search(const std::string& run) {
  return std::filesystem::exists(training::RunFolder(run).file(search_file));
}

Json show_search(const std::string& run) {
  const training::RunFolder folder(run);
  const auto settings = settings_from_json(
      folder.read_text("config.json"), folder.file("config.json"));
  auto evolve =
      evolve_from_json(folder.read_text(search_file), folder.file(search_file));
  const EvolveHistory history(folder);
  HRFEvoController search(
      evolve_options(settings, evolve),
      HRFEvoController::each([&](const BasisTrial& trial) {
        const auto* score = history.find(trial);
        if (score == nullptr) {
          throw HistoryEnds();
        }
        return *score;
      }));
  Json fronts = Json::array(), best = Json::array();
  try {
    for (;;) {
      search.step();
      Json front = Json::array();
      for (const auto& one : search.front()) {
        front.push_back({one.score.cost, one.score.loss});
      }
      fronts.push_back(front);
      best.push_back(search.best().score.loss);
    }
  } catch (const HistoryEnds&) {
  }
  TORCH_CHECK(
      search.generation() > 0,
      "the search in ",
      run,
      " has no generation to show yet; signalllm evolve --resume ",
      run,
      " goes on with it");
  Json individuals = Json::array();
  for (const auto& one : search.history()) {
    individuals.push_back(individual(search, one));
  }
  const auto& reference = search.history()[0];
  return {
      {"name", run},
      {"search", evolve.search},
      {"steps", settings.steps},
      {"rungs", evolve.rungs},
      {"individuals", individuals},
      {"fronts", fronts},
      {"best_losses", best},
      {"best", search.best().id},
      {"best_filters", filters_of(search.best().basis)},
      {"reference_filters", filters_of(reference.basis)}};
}

} // namespace signalllm::app
