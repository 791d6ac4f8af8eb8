#include "app/memory.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#ifdef __APPLE__
#include <sys/sysctl.h>
#elif defined(__GLIBC__)
#include <malloc.h>
#endif

namespace signalllm::app {
namespace {

/// The number behind `name` in a file of lines "name number", 0 if none.
int64_t entry(const std::string& path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first;
    int64_t value = 0;
    if (words >> first >> value && first == name) {
      return value;
    }
  }
  return 0;
}

/// What the control group may still use; -1 where it has no limit.
[[maybe_unused]] int64_t group_memory() {
  const std::string root = "/sys/fs/cgroup/";
  int64_t limit = 0, used = 0;
  if (!(std::ifstream(root + "memory.max") >> limit) ||
      !(std::ifstream(root + "memory.current") >> used)) {
    return -1; // "max", or no such group
  }
  // The page cache of files gives way.
  const auto cache = entry(root + "memory.stat", "inactive_file") +
      entry(root + "memory.stat", "active_file");
  return std::max<int64_t>(limit - std::max<int64_t>(used - cache, 0), 0);
}

constexpr const char* own_status = "/proc/self/status";

/// Values that a block keeps of a token for its backward pass, in widths,
/// counted low: two norms with their inputs (4), queries, keys and values
/// before and after the filters (6), the mixers' outputs (2), the hidden layer
/// before and after its activation (8).
constexpr double kept_widths = 20;

std::string gigabytes(double bytes) {
  return fmt::format("{:.1f} GB", bytes / 1e9);
}

} // namespace

int64_t available_memory() {
#ifdef __APPLE__
  int64_t bytes = 0;
  std::size_t size = sizeof bytes;
  return ::sysctlbyname("hw.memsize", &bytes, &size, nullptr, 0) == 0 ? bytes
                                                                      : 0;
#else
  const std::string file = "/proc/meminfo";
  const auto bytes =
      (entry(file, "MemAvailable:") + entry(file, "SwapFree:")) * 1024;
  const auto group = group_memory();
  return group < 0 ? bytes : std::min(bytes, group);
#endif
}

PeakMemory::PeakMemory() {
#ifdef __GLIBC__
  ::malloc_trim(0); // what was freed would count as there from the start
#endif
  std::ofstream("/proc/self/clear_refs") << 5; // begins a new peak
  start_ = entry(own_status, "VmRSS:");
}

int64_t PeakMemory::bytes() const {
  return (entry(own_status, "VmHWM:") - start_) * 1024;
}

double training_bytes(
    const Settings& settings,
    const SignalLLMOptions& model,
    int64_t parameters) {
  const double value = settings.precision == "bfloat16" ? 2 : 4;
  const double tokens = static_cast<double>(settings.batch) *
      static_cast<double>(settings.context);
  const double token = kept_widths *
          static_cast<double>(
                           block_runs(model.layers(), model.passes()).size()) *
          static_cast<double>(model.dim()) * value +
      3 * 4 * static_cast<double>(model.vocab_size());
  return 16.0 * static_cast<double>(parameters) + tokens * token;
}

double scoring_bytes(
    const SignalLLMOptions& model,
    int64_t parameters,
    int64_t batch,
    int64_t context) {
  const double tokens =
      static_cast<double>(batch) * static_cast<double>(context);
  return 4.0 * static_cast<double>(parameters) +
      tokens * 4 *
      static_cast<double>(2 * model.vocab_size() + 4 * model.dim());
}

void check_memory(
    double bytes,
    int64_t batch,
    int64_t context,
    c10::Device device) {
  const auto available = available_memory();
  TORCH_CHECK(
      !device.is_cpu() || available == 0 ||
          bytes <= static_cast<double>(available),
      "--batch ",
      batch,
      " of --context ",
      context,
      " needs about ",
      gigabytes(bytes),
      " of memory, ",
      gigabytes(static_cast<double>(available)),
      " are free; a smaller --batch (with --accumulate for the same step), "
      "--context or --dim");
}

} // namespace signalllm::app
