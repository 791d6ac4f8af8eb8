#include "ops/cpu/bank_kernels.h"

#include <cstdlib>
#include <string_view>

namespace signalllm::ops::cpu {
namespace {

const KernelSet& choose() {
#if defined(__x86_64__)
  const char* wish = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view limit = wish ? wish : "";
  if (limit == "default") {
    return kernel_set_baseline();
  }
  __builtin_cpu_init();
  // Everything that the files are compiled with.
  const bool avx2 = __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2 && limit != "avx2" && __builtin_cpu_supports("avx512f")) {
    return kernel_set_avx512();
  }
  if (avx2) {
    return kernel_set_avx2();
  }
#endif
  return kernel_set_baseline();
}

} // namespace

const KernelSet& kernel_set() {
  static const KernelSet& chosen = choose();
  return chosen;
}

} // namespace signalllm::ops::cpu
