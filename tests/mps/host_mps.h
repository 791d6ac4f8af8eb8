#pragma once

#include <cstdint>
#include <map>
#include <string>

/// A `torch::kMPS` for Linux. Its memory is the host's, and the operators that
/// the installed torch has for MPS, and no others, are run by the CPU's
/// kernels. It refuses what MPS refuses: float64, operands on two devices,
/// operators that are missing; and it refuses forms that are known to go wrong
/// there (see `rules` in host_rules.cpp). What it cannot show is how Apple's
/// own kernels round, fail or perform.
///
/// To be linked with libtorch_cpu only: torch takes no MPS beside CUDA.
namespace signalllm::host_mps {

/// What happened since `reset`.
struct Counters {
  /// Times that the host had to wait: values read, copies to the host,
  /// `synchronize`.
  int64_t synchronisations = 0;
  int64_t copies_to_host = 0;
  int64_t copies_to_device = 0;
  /// Operators launched, by name.
  std::map<std::string, int64_t> operators;

  int64_t launches() const;
};

/// Whose operators the device has.
enum class Torch { Installed, V2_11, V2_15 };
void use_operators(Torch version);

/// Of this process; MPS work runs in one thread at a time.
Counters& counters();
void reset();

} // namespace signalllm::host_mps
