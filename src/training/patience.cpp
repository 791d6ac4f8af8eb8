#include "training/patience.h"

#include <cmath>
#include <limits>

namespace signalllm::training {

Patience::Patience(int64_t limit, double min_delta)
    : limit_(limit), min_delta_(min_delta) {}

void Patience::add(int64_t step, double loss) {
  losses_.emplace_back(step, loss);
}

void Patience::cut(int64_t step) {
  std::erase_if(losses_, [&](const auto& item) { return item.first > step; });
}

int64_t Patience::best_step() const {
  if (limit_ == 0) {
    return -1;
  }
  int64_t best_step = -1;
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [step, loss] : losses_) {
    if (loss < best - min_delta_) { // false of NaN
      best = loss;
      best_step = step;
    }
  }
  return best_step;
}

std::optional<EarlyStop> Patience::verdict() const {
  if (limit_ == 0) {
    return std::nullopt;
  }
  EarlyStop stop;
  stop.best_step = best_step();
  for (const auto& [step, loss] : losses_) {
    stop.step = step;
    stop.waited = step > stop.best_step ? stop.waited + 1 : 0;
    stop.best_loss = step == stop.best_step ? loss : stop.best_loss;
  }
  return stop.waited >= limit_ ? std::optional(stop) : std::nullopt;
}

} // namespace signalllm::training
