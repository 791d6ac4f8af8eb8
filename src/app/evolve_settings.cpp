#include "app/evolve_settings.h"

#include "app/nearest.h"
#include "strict_json.h"

#include <signalllm/nn/block.h>

#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

namespace signalllm::app {
namespace {

/// The places that the model has beside the feed-forward part, which all have.
uint32_t mixers_of(const SignalLLMOptions& model) {
  const auto attending =
      WaveletTransformerBlockOptions(model.dim(), model.heads())
          .attention_fraction(model.attention_fraction())
          .attention_width();
  const bool attends =
      attending > 0 && model.attention() == AttentionKind::Wavelet;
  uint32_t places = 0;
  if (attends) {
    places |= PlaceAttention;
  }
  if (attending < model.dim()) {
    places |= PlaceFourier;
  }
  return places;
}

uint32_t chosen_places(
    const SignalLLMOptions& model,
    const std::string& asked) {
  const auto mixers = mixers_of(model);
  const auto places = asked.empty() ? mixers : parse_places(asked);
  TORCH_CHECK(
      places != 0,
      "no mixer of this model can have filters of wavelets, so that no genome "
      "would matter; --places feed_forward searches those of the feed-forward "
      "part");
  TORCH_CHECK(
      (places & ~(mixers | PlaceFeedForward)) == 0,
      "--places is ",
      asked,
      ", but this model (--attention ",
      model.attention_fraction(),
      ", attention=",
      to_string(model.attention()),
      ") has only ",
      places_to_string(mixers | PlaceFeedForward),
      ": genomes would not matter elsewhere");
  return places;
}

/// Into `limits`.
void hold(const std::string& what, BasisLimits& limits) {
  std::istringstream list(what);
  for (std::string word; std::getline(list, word, ',');) {
    TORCH_CHECK(
        word == "places" || word == "levels",
        "--hold is ",
        what,
        "; allowed are places, levels and places,levels");
    (word == "places" ? limits.hold_places : limits.hold_levels) = true;
  }
}

/// What the search is about cannot be said beforehand.
void check_model_words(const SignalLLMOptions& model) {
  const auto refuse = [](bool given, const char* name, const char* value) {
    TORCH_CHECK(
        !given,
        "--model ",
        name,
        "=",
        value,
        ": evolve decides where wavelets act; --places says where they may");
  };
  refuse(
      model.attention_filter() == FilterKind::Wavelet,
      "attention_filter",
      "wavelet");
  refuse(
      model.fourier_filter() == FilterKind::Wavelet,
      "fourier_filter",
      "wavelet");
  refuse(
      model.feed_forward() == SpectralKind::CausalWavelet,
      "feed_forward",
      "causal_wavelet");
  TORCH_CHECK(
      model.stochastic_keep() == 1,
      "--model stochastic_keep: evolve changes the wavelet that it would drop");
}

} // namespace

bool evolve_uses(const std::string& setting) {
  static const std::vector<std::string> unused{
      "divergence",
      "rollbacks",
      "patience",
      "min-delta",
      "timeout",
      "report-every",
      "evaluate-every",
      "checkpoint-every",
      "keep",
      "peak-tflops",
      "tensorboard"};
  return std::find(unused.begin(), unused.end(), setting) == unused.end();
}

Settings evolve_defaults() {
  Settings settings;
  settings.steps = 100;
  settings.warmup = 10;
  settings.average = 0;
  settings.context = 128;
  settings.threads = 1;
  return settings;
}

std::string to_json(const EvolveSettings& settings) {
  nlohmann::ordered_json json;
  visit_evolve(settings, [&](const char* name, const auto& value, auto) {
    json[name] = value;
  });
  return json.dump(2) + "\n";
}

EvolveSettings evolve_from_json(
    const std::string& text,
    const std::string& where) {
  const auto json = parse_json_object(where, text);
  EvolveSettings settings;
  std::vector<std::string> known;
  try {
    visit_evolve(settings, [&](const char* name, auto& value, auto) {
      known.emplace_back(name);
      json.at(name).get_to(value);
    });
  } catch (const nlohmann::json::exception& error) {
    TORCH_CHECK(false, where, ": damaged: ", error.what());
  }
  for (const auto& [key, value] : json.items()) {
    TORCH_CHECK(
        std::find(known.begin(), known.end(), key) != known.end(),
        where,
        ": unknown key '",
        key,
        "'",
        did_you_mean(key, known));
  }
  return settings;
}

SignalLLMOptions evolve_model(const Settings& settings, int64_t vocab_size) {
  auto model = model_options(settings, vocab_size);
  if (model_words(settings).count("filters") == 0) {
    model.filters(FilterTraining::Fixed);
  }
  return model;
}

HRFEvoOptions evolve_options(const Settings& settings, EvolveSettings& evolve) {
  const auto model = evolve_model(settings, 1);
  check_model_words(model);
  const auto places = chosen_places(model, evolve.places);
  evolve.places = places_to_string(places);
  TORCH_CHECK(evolve.rungs >= 1, "--rungs is ", evolve.rungs, "; at least 1");
  TORCH_CHECK(
      evolve.rungs <= 16 && settings.steps >> (evolve.rungs - 1) >= 1,
      "--rungs is ",
      evolve.rungs,
      "; --steps ",
      settings.steps,
      " can be halved ",
      evolve.rungs - 1,
      " times only if a step is left");
  BasisLimits limits{evolve.max_stages, evolve.max_levels, places};
  hold(evolve.hold, limits);
  auto options = HRFEvoOptions()
                     .search(parse_search_kind(evolve.search))
                     .population(evolve.population)
                     .mutation(evolve.mutation)
                     .rungs(evolve.rungs)
                     .seeds(evolve.seeds)
                     .seed(settings.seed);
  const auto words = model_words(settings);
  options.levels(std::min(options.levels(), evolve.max_levels));
  if (words.count("levels") != 0) {
    options.levels(model.levels());
  }
  auto start = options.start();
  if (words.count("wavelet") != 0) {
    start = {model.wavelet()};
  } else {
    std::erase_if(start, [&](const std::string& name) {
      return Wavelet(name).length() > 2 * evolve.max_stages;
    });
  }
  for (const auto& names : start) {
    const auto own = static_cast<int64_t>(wavelets_of_levels(names).size());
    if (own > 1) {
      options.levels(own);
    }
    // Throws for what is not orthogonal.
    const BasisFunction basis(names, options.levels());
    TORCH_CHECK(
        basis.stages() <= evolve.max_stages &&
            basis.levels() <= evolve.max_levels,
        "--model wavelet=",
        names,
        ",levels=",
        basis.levels(),
        " begins with ",
        basis.stages(),
        " stages and ",
        basis.levels(),
        " levels, above --max-stages ",
        evolve.max_stages,
        " or --max-levels ",
        evolve.max_levels);
  }
  if (limits.hold_levels) {
    limits.levels = options.levels();
  }
  return options.limits(limits).start(start);
}

int64_t rung_steps(int64_t steps, int64_t rungs, int64_t rung) {
  return steps >> (rungs - 1 - rung);
}

} // namespace signalllm::app
