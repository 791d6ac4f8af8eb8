#include "ops/metal.h"

namespace signalllm::ops {
namespace {

// Written before main.
bool (*metal_runs)() = nullptr;

} // namespace

bool has_kernels(const at::Tensor& x) {
  return !x.is_mps() || (metal_runs != nullptr && metal_runs());
}

void set_metal(bool (*runs)()) {
  metal_runs = runs;
}

} // namespace signalllm::ops
