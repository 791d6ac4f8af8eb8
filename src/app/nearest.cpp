#include "app/nearest.h"

#include <algorithm>
#include <numeric>

namespace signalllm::app {
namespace {

/// Levenshtein's distance, a row at a time.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto substitution = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substitution});
    }
  }
  return row.back();
}

} // namespace

std::string did_you_mean(
    const std::string& given,
    const std::vector<std::string>& names) {
  const std::string* best = nullptr;
  auto closest = std::max<std::size_t>(given.size() / 2, 1) + 1;
  for (const auto& name : names) {
    const auto d = distance(given, name);
    if (d < closest) {
      closest = d;
      best = &name;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

} // namespace signalllm::app
