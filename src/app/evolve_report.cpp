// What a search says of itself.

#include "app/evolve_search.h"

#include <signalllm/training/interrupt.h>

#include <fmt/format.h>

namespace signalllm::app {
namespace {

std::string genome_columns(const Individual& one) {
  return fmt::format(
      "{:>4} {:>4}  {:<8.8} {:>4} {:>6}  {:<22}",
      one.generation,
      one.id,
      one.basis.family(),
      2 * one.basis.stages(),
      one.basis.levels(),
      places_to_string(one.basis.places()));
}

} // namespace

void EvolveSearch::print_header() const {
  const auto filters = evolve_model(settings_, 1).filters();
  fmt::print("text    {}\n", text_.describe(settings_));
  fmt::print(
      "search  {}: {} in {}{}, filters {}, {} trial{} at once\n",
      folder_.path(),
      evolve_.search,
      evolve_.places,
      evolve_.hold.empty() ? "" : " (held: " + evolve_.hold + ")",
      to_string(filters),
      jobs_,
      jobs_ == 1 ? "" : "s");
  if (filters == FilterTraining::Learned) {
    fmt::print(
        "note    with filters=learned every channel learns filters of its own "
        "from the genome's, which then hardly matter; filters=fixed or "
        "lattice judge the genome\n");
  }
  if (history_->size() > 0) {
    fmt::print("        {} trials are done\n", history_->size());
  }
  fmt::print(
      " gen   id  family   taps levels  places                  steps seed "
      "bits/byte  mul-adds us/token KB/token\n");
  std::fflush(stdout);
}

void EvolveSearch::show(const BasisTrial& trial, const BasisScore& score) {
  line_.note(fmt::format(
      "{} {:>6} {:>4} {:>9.4f} {:>9.0f} {:>8.2f} {:>8}",
      genome_columns(trial.individual),
      rung_steps(settings_.steps, evolve_.rungs, trial.rung),
      trial.seed,
      score.loss,
      score.cost,
      1e6 * score.seconds,
      score.bytes > 0 ? fmt::format("{:.1f}", score.bytes / 1024) : "?"));
}

void EvolveSearch::report() const {
  if (training::interrupt_signal() != 0) {
    fmt::print(
        "\nstopped; go on with: signalllm evolve --resume {} --generations "
        "{}\n",
        folder_.path(),
        generations_);
  }
  if (search_->history().empty()) {
    return;
  }
  const auto& best = search_->best();
  const auto& reference = search_->history()[0];
  const auto gain = [&](const Individual& one) {
    return reference.score.loss - one.score.loss;
  };
  fmt::print(
      "\nthe front: less cost, or less loss, has no other\n"
      " gen   id  family   taps levels  places                  mul-adds "
      "bits/byte  below {} (seeds)\n",
      reference.basis.family());
  for (const auto& one : search_->front()) {
    fmt::print(
        "{} {:>9.0f} {:>9.4f}  {:.4f} +- {:.4f} ({})\n",
        genome_columns(one),
        one.score.cost,
        one.score.loss,
        gain(one),
        search_->spread(one),
        one.losses.size());
  }
  fmt::print(
      "\nbest: {:.4f} bits per byte after {} steps; {}, the reference: "
      "{:.4f}{}\n",
      best.score.loss,
      settings_.steps,
      reference.basis.family(),
      reference.score.loss,
      gain(best) > search_->spread(best)
          ? ""
          : ", no further than the seeds spread");
  fmt::print(
      "use it: signalllm train --data {} --model \"{}\"\n",
      settings_.data,
      model_text(best.basis));
}

std::string EvolveSearch::model_text(const BasisFunction& basis) const {
  auto plain = settings_;
  plain.model.clear();
  const auto standard = model_options(plain, 1).describe();
  std::string text;
  for (const auto& [name, value] :
       with_basis(evolve_model(settings_, 1), basis).describe()) {
    if (standard.at(name) != value) {
      text += (text.empty() ? "" : ",") + name + "=" + value;
    }
  }
  return text;
}

} // namespace signalllm::app
