#include <signalllm/training/schedule.h>

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace signalllm::training {

const std::vector<std::string>& schedule_shapes() {
  static const std::vector<std::string> shapes = {
      "cosine", "linear", "constant"};
  return shapes;
}

double learning_rate(const ScheduleOptions& options, int64_t step) {
  const auto warmup = options.warmup();
  if (step < warmup) {
    return options.peak() * static_cast<double>(step + 1) /
        static_cast<double>(warmup + 1);
  }
  const auto length = std::max<int64_t>(options.steps() - warmup, 1);
  const double progress = std::min(
      1.0, static_cast<double>(step - warmup) / static_cast<double>(length));
  double share = 1.0; // of the way from the floor to the peak
  if (options.shape() == "cosine") {
    share = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  } else if (options.shape() == "linear") {
    share = 1 - progress;
  } else {
    TORCH_CHECK(
        options.shape() == "constant",
        "learning_rate: unknown schedule '",
        options.shape(),
        "'; there are cosine, linear and constant");
  }
  return options.floor() + share * (options.peak() - options.floor());
}

} // namespace signalllm::training
