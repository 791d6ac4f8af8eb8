#include <signalllm/basis_function.h>

#include <signalllm/nn/model.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <sstream>

namespace signalllm {
namespace {

bool one_in(int count, BasisFunction::Random& random) {
  return std::uniform_int_distribution<int>(1, count)(random) == 1;
}

constexpr std::pair<uint32_t, const char*> place_names[] = {
    {PlaceAttention, "attention"},
    {PlaceFourier, "fourier"},
    {PlaceFeedForward, "feed_forward"}};
constexpr uint32_t all_places =
    PlaceAttention | PlaceFourier | PlaceFeedForward;

BasisFunction::Angles angles_of(const std::string& wavelets, int64_t levels) {
  BasisFunction::Angles angles;
  for (const auto& wavelet : wavelets_of_levels(wavelets)) {
    angles.push_back(wavelet.angles());
  }
  const auto count = static_cast<int64_t>(angles.size());
  TORCH_CHECK(
      levels >= 1 && levels < 31 && (count == 1 || count == levels),
      "BasisFunction: levels is ",
      levels,
      ", allowed are 1 to 30, and ",
      count,
      " for '",
      wavelets,
      "' if it names more than one");
  angles.resize(static_cast<size_t>(levels), angles[0]);
  return angles;
}

} // namespace

std::string places_to_string(uint32_t places) {
  std::string text;
  for (const auto& [place, name] : place_names) {
    if ((places & place) != 0) {
      text += (text.empty() ? "" : ",") + std::string(name);
    }
  }
  return text;
}

uint32_t parse_places(const std::string& names) {
  uint32_t places = 0;
  std::istringstream list(names);
  for (std::string word; std::getline(list, word, ',');) {
    const auto* found = std::find_if(
        std::begin(place_names), std::end(place_names), [&](const auto& known) {
          return word == known.second;
        });
    TORCH_CHECK(
        found != std::end(place_names),
        "parse_places: '",
        word,
        "' is no place for a wavelet; there are ",
        places_to_string(all_places));
    places |= found->first;
  }
  return places;
}

BasisFunction::BasisFunction(Angles angles, uint32_t places, std::string family)
    : angles_(std::move(angles)), places_(places), family_(std::move(family)) {
  TORCH_CHECK(
      !angles_.empty() && angles_.size() < 31 && !angles_[0].empty(),
      "BasisFunction: angles must be those of 1 to 30 levels, at least one "
      "each");
  for (const auto& level : angles_) {
    TORCH_CHECK(
        level.size() == angles_[0].size() &&
            std::all_of(
                level.begin(),
                level.end(),
                [](double a) { return std::isfinite(a); }),
        "BasisFunction: angles must be finite, as many in each level");
  }
  TORCH_CHECK(
      places_ != 0 && (places_ & ~all_places) == 0,
      "BasisFunction: places is ",
      places_,
      ", it must be one or more of ",
      places_to_string(all_places));
  centre();
}

BasisFunction::BasisFunction(
    const std::string& wavelets,
    int64_t levels,
    uint32_t places)
    : BasisFunction(angles_of(wavelets, levels), places, wavelets) {}

BasisFunction BasisFunction::any(const BasisLimits& limits, Random& random) {
  const auto up_to = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(1, most)(random);
  };
  const auto levels = limits.hold_levels ? limits.levels : up_to(limits.levels);
  const auto stages = up_to(limits.stages);
  std::uniform_real_distribution<double> angle(
      -std::numbers::pi, std::numbers::pi);
  Angles angles(
      static_cast<size_t>(levels),
      std::vector<double>(static_cast<size_t>(stages)));
  for (auto& level : angles) {
    std::generate(level.begin(), level.end(), [&] { return angle(random); });
  }
  uint32_t places = limits.hold_places ? limits.places : 0;
  while (places == 0) {
    places = static_cast<uint32_t>(random()) & limits.places;
  }
  return BasisFunction(std::move(angles), places, "random");
}

void BasisFunction::centre() {
  constexpr auto turn = 2 * std::numbers::pi;
  for (auto& level : angles_) {
    if (level.size() > 1) {
      const auto sum = std::accumulate(level.begin(), level.end(), 0.0);
      // The nearest sum that is pi/4 but for whole turns.
      const auto miss = std::remainder(sum - std::numbers::pi / 4, turn);
      if (std::abs(miss) >= 1e-12) { // so that what was read back stays
        for (auto& angle : level) {
          angle -= miss / static_cast<double>(level.size());
        }
      }
    }
    for (auto& angle : level) {
      angle = std::remainder(angle, turn);
    }
  }
}

Wavelet BasisFunction::wavelet(int64_t level) const {
  TORCH_CHECK(
      level >= 0 && level < levels(),
      "BasisFunction::wavelet: level is ",
      level,
      ", allowed are 0 to ",
      levels() - 1);
  return Wavelet::from_angles(angles_[static_cast<size_t>(level)]);
}

std::string BasisFunction::wavelets() const {
  const bool same =
      std::all_of(angles_.begin(), angles_.end(), [&](const auto& level) {
        return level == angles_[0];
      });
  std::string names = wavelet().name();
  for (int64_t level = 1; level < levels() && !same; ++level) {
    names += ";" + wavelet(level).name();
  }
  return names;
}

std::string BasisFunction::key() const {
  return wavelets() + " x" + std::to_string(levels()) + " " +
      places_to_string(places_);
}

int64_t BasisFunction::multiply_adds() const {
  return levels() * 4 * stages() + levels() + 2;
}

BasisFunction BasisFunction::mutated(
    double strength,
    const BasisLimits& limits,
    Random& random) const {
  auto child = *this;
  if (!limits.hold_levels && one_in(5, random)) {
    if (one_in(2, random) && child.levels() > 1) {
      child.angles_.pop_back();
    } else if (child.levels() < limits.levels) {
      child.angles_.push_back(child.angles_.back());
    }
  }
  if (one_in(5, random)) {
    if (one_in(2, random) && child.stages() > 1) {
      for (auto& level : child.angles_) {
        level.pop_back();
      }
    } else if (child.stages() < limits.stages) {
      for (auto& level : child.angles_) {
        level.push_back(0);
      }
    }
  }
  for (const auto& [place, name] : place_names) {
    if (!limits.hold_places && (limits.places & place) != 0 &&
        child.places_ != place && one_in(5, random)) {
      child.places_ ^= place;
    }
  }
  std::normal_distribution<double> noise(0, strength);
  const auto certain = std::uniform_int_distribution<size_t>(
      0, child.angles_.size() - 1)(random);
  for (size_t level = 0; level < child.angles_.size(); ++level) {
    if (level == certain || one_in(2, random)) {
      for (auto& angle : child.angles_[level]) {
        angle += noise(random);
      }
    }
  }
  child.centre();
  return child;
}

BasisFunction BasisFunction::crossed(const BasisFunction& other, Random& random)
    const {
  const auto either = [&]() -> const BasisFunction& {
    return one_in(2, random) ? *this : other;
  };
  const auto angle = [](const BasisFunction& of, size_t level, size_t stage) {
    const auto& angles = of.angles_[std::min(level, of.angles_.size() - 1)];
    return stage < angles.size() ? angles[stage] : 0;
  };
  auto child = either();
  child.places_ = either().places_;
  child.angles_.resize(either().angles_.size());
  const auto stages = static_cast<size_t>(either().stages());
  for (size_t level = 0; level < child.angles_.size(); ++level) {
    child.angles_[level].resize(stages);
    for (size_t stage = 0; stage < stages; ++stage) {
      child.angles_[level][stage] = angle(either(), level, stage);
    }
  }
  child.centre();
  return child;
}

std::string BasisFunction::to_json() const {
  return nlohmann::ordered_json{
      {"angles", angles_},
      {"places", places_to_string(places_)},
      {"family", family_}}
      .dump();
}

BasisFunction BasisFunction::from_json(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return BasisFunction(
        json.at("angles").get<Angles>(),
        parse_places(json.at("places").get<std::string>()),
        json.at("family").get<std::string>());
  } catch (const nlohmann::json::exception& error) {
    TORCH_CHECK(
        false,
        "BasisFunction::from_json: expected an object with angles (lists of "
        "numbers, one for each level), places and family: ",
        error.what());
  }
}

SignalLLMOptions with_basis(
    const SignalLLMOptions& options,
    const BasisFunction& basis) {
  auto model = options;
  model.wavelet(basis.wavelets()).levels(basis.levels());
  const auto has = [&](BasisPlace place) {
    return (basis.places() & place) != 0;
  };
  if (has(PlaceAttention)) {
    model.attention_filter(FilterKind::Wavelet);
  }
  if (has(PlaceFourier)) {
    model.fourier_filter(FilterKind::Wavelet);
  }
  if (has(PlaceFeedForward)) {
    model.feed_forward(SpectralKind::CausalWavelet);
  }
  return model;
}

} // namespace signalllm
