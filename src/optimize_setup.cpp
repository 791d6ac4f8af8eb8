#include <signalllm/optimize.h>

#include "most_threads.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/MPSHooksInterface.h>

#include <cstdlib>
#include <ostream>
#include <string_view>

namespace signalllm {

namespace {

bool fallback_in_environment() {
  const char* value = std::getenv("PYTORCH_ENABLE_MPS_FALLBACK");
  return value != nullptr && std::string_view(value) == "1";
}

/// Read when this library is loaded, as torch does with its own: a change
/// afterwards reaches neither.
const bool fallback_at_load = fallback_in_environment();

} // namespace

MPSSetupReport setup_mps_optimizations(const MPSSetupOptions& options) {
  TORCH_CHECK(
      !options.threads() || *options.threads() >= 1,
      "setup_mps_optimizations: threads is ",
      options.threads().value_or(0),
      ", it must be at least 1");
  TORCH_CHECK(
      !options.threads() || *options.threads() <= most_threads(),
      "setup_mps_optimizations: threads is ",
      options.threads().value_or(0),
      ", this machine takes at most ",
      most_threads(),
      " (four a core)");
  TORCH_CHECK(
      !options.memory_fraction() ||
          (*options.memory_fraction() >= 0 && *options.memory_fraction() <= 2),
      "setup_mps_optimizations: memory_fraction is ",
      options.memory_fraction().value_or(0),
      ", allowed are 0 to 2");
  MPSSetupReport report;
  const auto& hooks = at::detail::getMPSHooks();
  report.available = hooks.hasMPS();
#ifdef __APPLE__
  report.macos = true;
#endif
  if (options.threads()) {
    at::set_num_threads(static_cast<int>(*options.threads()));
  }
  report.threads = at::get_num_threads();
  if (report.available) {
    if (options.memory_fraction()) {
      hooks.setMemoryFraction(*options.memory_fraction());
      report.memory_fraction = options.memory_fraction();
    }
    report.allocated = hooks.getCurrentAllocatedMemory();
    report.recommended_max = hooks.getRecommendedMaxMemory();
  } else {
    report.notes.emplace_back(
        report.macos
            ? "MPS is not available: it needs Apple silicon, macOS 14 or newer "
              "and torch's macOS wheel"
            : "MPS is not available: this is not macOS");
    if (options.memory_fraction()) {
      report.notes.emplace_back("memory_fraction was not set: there is no MPS");
    }
  }
  report.fallback = fallback_at_load;
  if (options.fallback() && *options.fallback() != fallback_at_load) {
    report.notes.emplace_back(
        std::string("fallback is ") + (fallback_at_load ? "on" : "off") +
        ": torch reads PYTORCH_ENABLE_MPS_FALLBACK when it is loaded; start "
        "the program with PYTORCH_ENABLE_MPS_FALLBACK=" +
        (*options.fallback() ? "1" : "0"));
  } else if (fallback_in_environment() != fallback_at_load) {
    report.notes.emplace_back(
        "PYTORCH_ENABLE_MPS_FALLBACK was changed after torch was loaded, "
        "without effect");
  }
  return report;
}

std::ostream& operator<<(std::ostream& stream, const MPSSetupReport& report) {
  stream << "MPS " << (report.available ? "available" : "not available")
         << ", CPU threads " << report.threads << ", fallback "
         << (report.fallback ? "on" : "off");
  if (report.available) {
    constexpr double gib = 1 << 30;
    stream << ", memory " << static_cast<double>(report.allocated) / gib
           << " of " << static_cast<double>(report.recommended_max) / gib
           << " GiB";
    if (report.memory_fraction) {
      stream << " times " << *report.memory_fraction;
    }
  }
  for (const auto& note : report.notes) {
    stream << "\n  " << note;
  }
  return stream;
}

} // namespace signalllm
