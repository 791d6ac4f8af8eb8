#include "constants.h"

#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <mutex>
#include <tuple>

namespace signalllm {
namespace {

using Key = std::tuple<
    c10::DeviceType,
    c10::DeviceIndex,
    at::ScalarType,
    std::vector<double>>;

constexpr size_t most = 4096;

at::Tensor make(
    const std::vector<double>& values,
    const at::TensorOptions& options) {
  // Autograd takes no tensor that was made in inference mode.
  const c10::InferenceMode guard(false);
  // A cast on the host: MPS has no float64.
  return at::tensor(values, at::kDouble)
      .to(options.dtype().toScalarType())
      .to(options.device());
}

} // namespace

at::Tensor constant(
    const std::vector<double>& values,
    const at::TensorOptions& options) {
  const auto device = options.device();
  if (device.is_cpu() || device.is_meta()) {
    return make(values, options);
  }
  static std::mutex mutex;
  // Never destroyed: a device's memory may be gone before static objects are.
  static auto& kept = *new std::map<Key, at::Tensor>;
  const Key key{
      device.type(), device.index(), options.dtype().toScalarType(), values};
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = kept.find(key);
  if (found != kept.end()) {
    return found->second;
  }
  const auto made = make(values, options);
  if (kept.size() < most) {
    kept.emplace(key, made);
  }
  return made;
}

} // namespace signalllm
