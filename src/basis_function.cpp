#include <signalllm/evolution.h>

#include <c10/util/Exception.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace signalllm {
namespace {

bool one_in(int count, BasisFunction::Random& random) {
  return std::uniform_int_distribution<int>(1, count)(random) == 1;
}

} // namespace

BasisFunction::BasisFunction(
    std::vector<double> angles,
    int64_t levels,
    std::string family)
    : angles_(std::move(angles)), levels_(levels), family_(std::move(family)) {
  TORCH_CHECK(
      !angles_.empty() &&
          std::all_of(
              angles_.begin(),
              angles_.end(),
              [](double a) { return std::isfinite(a); }),
      "BasisFunction: angles must be one or more finite numbers");
  TORCH_CHECK(
      levels_ >= 0 && levels_ < 62,
      "BasisFunction: levels is ",
      levels_,
      ", allowed are 0 to 61");
  centre();
}

BasisFunction::BasisFunction(const Wavelet& wavelet, int64_t levels)
    : BasisFunction(wavelet.angles(), levels, wavelet.name()) {}

void BasisFunction::centre() {
  const auto sum = std::accumulate(angles_.begin(), angles_.end(), 0.0);
  // The nearest sum that is pi/4 but for whole turns.
  const auto miss =
      std::remainder(sum - std::numbers::pi / 4, 2 * std::numbers::pi);
  if (std::abs(miss) < 1e-12) {
    return; // so that what was read back stays what it was
  }
  for (auto& angle : angles_) {
    angle -= miss / static_cast<double>(angles_.size());
  }
}

Wavelet BasisFunction::wavelet() const {
  return Wavelet::from_angles(angles_);
}

int64_t BasisFunction::multiply_adds() const {
  return levels_ * 4 * static_cast<int64_t>(angles_.size()) + levels_ + 2;
}

BasisFunction BasisFunction::mutated(
    double strength,
    int64_t max_stages,
    int64_t max_levels,
    Random& random) const {
  auto child = *this;
  if (one_in(5, random)) {
    child.levels_ += one_in(2, random) ? 1 : -1;
    child.levels_ = std::clamp<int64_t>(child.levels_, 1, max_levels);
  }
  if (one_in(5, random)) {
    if (one_in(2, random) && child.angles_.size() > 1) {
      child.angles_.pop_back();
    } else if (static_cast<int64_t>(child.angles_.size()) < max_stages) {
      child.angles_.push_back(0);
    }
  }
  std::normal_distribution<double> noise(0, strength);
  for (auto& angle : child.angles_) {
    angle += noise(random);
  }
  child.centre();
  return child;
}

BasisFunction BasisFunction::crossed(const BasisFunction& other, Random& random)
    const {
  auto child = one_in(2, random) ? *this : other;
  const auto angle = [](const BasisFunction& of, size_t i) {
    return i < of.angles_.size() ? of.angles_[i] : 0;
  };
  for (size_t i = 0; i < child.angles_.size(); ++i) {
    child.angles_[i] = angle(one_in(2, random) ? *this : other, i);
  }
  child.levels_ = one_in(2, random) ? levels_ : other.levels_;
  child.centre();
  return child;
}

std::string BasisFunction::to_json() const {
  return nlohmann::ordered_json{
      {"angles", angles_}, {"levels", levels_}, {"family", family_}}
      .dump();
}

BasisFunction BasisFunction::from_json(const std::string& text) {
  const auto json =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK(
      json.is_object() && json.contains("angles") &&
          json["angles"].is_array() &&
          std::all_of(
              json["angles"].begin(),
              json["angles"].end(),
              [](const auto& a) { return a.is_number(); }) &&
          json.contains("levels") && json["levels"].is_number_integer(),
      "BasisFunction::from_json: expected an object with angles (numbers) and "
      "levels (a whole number)");
  auto family = json.value("family", nlohmann::json("lattice"));
  return BasisFunction(
      json["angles"].get<std::vector<double>>(),
      json["levels"].get<int64_t>(),
      family.is_string() ? family.get<std::string>() : "lattice");
}

} // namespace signalllm
