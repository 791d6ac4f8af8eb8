#include "training/divergence.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>

namespace signalllm::training {
namespace {

constexpr std::size_t recent = 5;
constexpr std::size_t fewest = 20;
constexpr double least_rise = 1; // nats

double median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

} // namespace

std::string loss_trouble(
    const std::vector<double>& before,
    double loss,
    int64_t step,
    double factor) {
  if (!std::isfinite(loss)) {
    return c10::str(
        "the loss of step ",
        step,
        " is not finite (",
        std::isnan(loss) ? "nan" : "inf",
        ")");
  }
  if (factor == 0 || before.size() < fewest + recent - 1) {
    return "";
  }
  const auto border = before.end() - (recent - 1);
  std::vector<double> last(border, before.end());
  last.push_back(loss);
  const auto now = median(last);
  const auto usual = median({before.begin(), border});
  return now > std::max(factor * usual, usual + least_rise)
      ? c10::str(
            "the loss has diverged at step ",
            step,
            ": from ",
            usual,
            " to ",
            now,
            " nats (medians)")
      : "";
}

std::string loss_advice(const TrainerOptions& options) {
  return c10::str(
      "lower the learning rate (now ",
      options.schedule().peak(),
      ")",
      options.schedule().warmup() < 100 ? ", warm up for longer" : "",
      options.bfloat16() ? ", train in float32" : "",
      " or resume from an earlier checkpoint");
}

} // namespace signalllm::training
