#pragma once

#include "app/settings.h"

#include <signalllm/evolution.h>

#include <string>

namespace signalllm::app {

/// How `evolve` searches, beside the settings of each of its trainings.
struct EvolveSettings {
  std::string search = "evolve";
  int64_t population = 8;
  int64_t rungs = 2;
  int64_t seeds = 3;
  std::string places;
  std::string hold;
  int64_t max_levels = 6;
  int64_t max_stages = 8;
  double mutation = 0.3;
};

/// The table of them, as `visit_settings`: calls `visit(name, value, help)`.
template <typename SettingsType, typename Visit>
void visit_evolve(SettingsType& s, Visit&& visit) {
  visit("search", s.search, "evolve, or random to compare with");
  visit("population", s.population, "genomes a generation");
  visit(
      "rungs",
      s.rungs,
      "of a generation all train --steps / 2^(rungs - 1), the better half "
      "twice as long, and so on");
  visit(
      "seeds",
      s.seeds,
      "trainings of whoever claims the front; the mean counts");
  visit(
      "places",
      s.places,
      "where wavelets may act: attention,fourier,feed_forward; default: the "
      "first two, as far as the model has them");
  visit(
      "hold",
      s.hold,
      "places, levels or places,levels: all genomes have them like the first");
  visit("max-levels", s.max_levels, "of a wavelet, unless held");
  visit("max-stages", s.max_stages, "of its lattice: half the taps");
  visit("mutation", s.mutation, "radians by which angles move");
}

/// Whether `evolve` has the setting of `train` that is called so. Trials are
/// short: they write no log, no checkpoints to choose from, no validations.
bool evolve_uses(const std::string& setting);

/// Settings that `evolve` begins with.
Settings evolve_defaults();

std::string to_json(const EvolveSettings& settings);
/// Inverse of `to_json`; throws naming `where` and what is wrong.
EvolveSettings evolve_from_json(
    const std::string& json,
    const std::string& where);

/// The model that genomes are put into: filters are fixed unless --model says
/// otherwise, so that a genome is judged and not what is learned from it.
SignalLLMOptions evolve_model(const Settings& settings, int64_t vocab_size);

/// The search that the settings mean. Fills `places` in; throws where the
/// genomes would not matter or --model decides what the search is about.
HRFEvoOptions evolve_options(const Settings& settings, EvolveSettings& evolve);

/// Steps that a trial of a rung has trained in the end.
int64_t rung_steps(int64_t steps, int64_t rungs, int64_t rung);

} // namespace signalllm::app
