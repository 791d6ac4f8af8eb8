#include <signalllm/training/schedule.h>

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace signalllm::training {

const std::vector<std::string>& schedule_shapes() {
  static const std::vector<std::string> shapes = {
      "cosine", "linear", "wsd", "constant"};
  return shapes;
}

namespace {

/// The first step of the decay of "wsd".
int64_t stable_end(const ScheduleOptions& options) {
  const auto fraction = options.decay_fraction();
  TORCH_CHECK(
      fraction > 0 && fraction <= 1,
      "learning_rate: decay_fraction is ",
      fraction,
      "; it must be above 0 and at most 1");
  const auto decay =
      std::llround(fraction * static_cast<double>(options.steps()));
  return std::max<int64_t>(options.steps() - decay, options.warmup());
}

} // namespace

double learning_rate(const ScheduleOptions& options, int64_t step) {
  const auto warmup = options.warmup();
  if (step < warmup) {
    return options.peak() * static_cast<double>(step + 1) /
        static_cast<double>(warmup + 1);
  }
  const auto start = options.shape() == "wsd" ? stable_end(options) : warmup;
  const auto length = std::max<int64_t>(options.steps() - start, 1);
  const double progress = std::clamp(
      static_cast<double>(step - start) / static_cast<double>(length),
      0.0,
      1.0);
  double share = 1.0; // of the way from the floor to the peak
  if (options.shape() == "cosine") {
    share = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  } else if (options.shape() == "linear") {
    share = 1 - progress;
  } else if (options.shape() == "wsd") {
    share = 1 - std::sqrt(progress);
  } else {
    TORCH_CHECK(
        options.shape() == "constant",
        "learning_rate: unknown schedule '",
        options.shape(),
        "'; there are cosine, linear, wsd and constant");
  }
  return options.floor() + share * (options.peak() - options.floor());
}

} // namespace signalllm::training
