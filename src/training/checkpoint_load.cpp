// How checkpoints come back from a run's folder.

#include <signalllm/training/checkpoint.h>

#include "training/checkpoint_state.h"
#include "training/run_log.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace signalllm::training {
namespace {

/// Newest first.
std::vector<int64_t> steps_back(const RunFolder& folder) {
  folder.check_exists();
  auto steps = folder.checkpoints();
  std::reverse(steps.begin(), steps.end());
  return steps;
}

/// The first of these that is whole.
Checkpoint load_first(
    const RunFolder& folder,
    const std::vector<int64_t>& steps,
    std::vector<std::string>* problems) {
  for (const auto step : steps) {
    try {
      return folder.load(step);
    } catch (const c10::Error& error) {
      if (problems != nullptr) {
        problems->emplace_back(error.what_without_backtrace());
      }
    }
  }
  TORCH_CHECK(
      steps.empty(),
      "RunFolder::load_latest: no checkpoint in ",
      folder.path(),
      " is whole (",
      steps.size(),
      " damaged)");
  TORCH_CHECK(
      false,
      "RunFolder::load_latest: the run in ",
      folder.path(),
      " has no checkpoint yet");
}

} // namespace

Checkpoint RunFolder::load(int64_t step) const {
  const RunFolder folder(place(step));
  auto read = read_state(
      "RunFolder::load: " + folder.file("state.json"),
      folder.read_text("state.json"));
  Checkpoint checkpoint;
  checkpoint.step = read.step;
  checkpoint.state = std::move(read.state);
  for (const auto& [name, expected] : read.files) {
    TORCH_CHECK(
        fingerprint(folder.file(name)) == expected,
        "RunFolder::load: ",
        folder.file(name),
        ": damaged: wrong size or checksum");
    auto tensors = load_safetensors(folder.file(name)).tensors;
    (name == "model.safetensors"         ? checkpoint.model
         : name == "average.safetensors" ? checkpoint.average
                                         : checkpoint.optimizer) =
        std::move(tensors);
  }
  return checkpoint;
}

Checkpoint RunFolder::load_latest(std::vector<std::string>* problems) const {
  return load_first(*this, steps_back(*this), problems);
}

Checkpoint RunFolder::load_best(std::vector<std::string>* problems) const {
  std::map<int64_t, double> losses;
  each_validation(file("log.jsonl"), [&](int64_t step, double loss) {
    losses[step] = loss;
  });
  const auto loss_of = [&](int64_t step) {
    const auto found = losses.find(step);
    return found != losses.end() && !std::isnan(found->second)
        ? found->second
        : std::numeric_limits<double>::infinity();
  };
  auto steps = steps_back(*this);
  // Of equal losses the first; of what was not judged the newest.
  std::sort(steps.begin(), steps.end(), [&](auto a, auto b) {
    const auto of_a = loss_of(a), of_b = loss_of(b);
    return of_a != of_b ? of_a < of_b : std::isinf(of_a) ? a > b : a < b;
  });
  return load_first(*this, steps, problems);
}

} // namespace signalllm::training
