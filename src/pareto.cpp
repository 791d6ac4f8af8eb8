#include "pareto.h"

#include <algorithm>
#include <limits>

namespace signalllm {

bool dominates(const BasisScore& a, const BasisScore& b) {
  return a.loss <= b.loss && a.cost <= b.cost &&
      (a.loss < b.loss || a.cost < b.cost);
}

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

std::vector<double> crowding(
    const std::vector<BasisScore>& scores,
    const std::vector<int64_t>& ranks) {
  std::vector<double> distance(scores.size(), 0);
  const auto last =
      ranks.empty() ? -1 : *std::max_element(ranks.begin(), ranks.end());
  for (int64_t rank = 0; rank <= last; ++rank) {
    std::vector<size_t> members;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (ranks[i] == rank) {
        members.push_back(i);
      }
    }
    for (const auto axis : {&BasisScore::loss, &BasisScore::cost}) {
      const auto value = [&](size_t i) { return scores[i].*axis; };
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

} // namespace signalllm
