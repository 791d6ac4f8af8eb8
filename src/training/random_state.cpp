#include "training/random_state.h"

#include <ATen/Context.h>
#include <c10/core/DeviceType.h>

#include <mutex>
#include <vector>

namespace signalllm::training {
namespace {

std::vector<std::pair<std::string, at::Generator>> generators(
    at::Device device) {
  auto& context = at::globalContext();
  std::vector<std::pair<std::string, at::Generator>> list{
      {"random.cpu", context.defaultGenerator(at::kCPU)}};
  if (!device.is_cpu()) {
    list.emplace_back(
        "random." + c10::DeviceTypeName(device.type(), /*lower_case=*/true),
        context.defaultGenerator(device));
  }
  return list;
}

} // namespace

TensorMap random_state(at::Device device) {
  TensorMap state;
  for (auto& [name, generator] : generators(device)) {
    std::lock_guard lock(generator.mutex());
    state[name] = generator.get_state();
  }
  return state;
}

void restore_random_state(const TensorMap& state, at::Device device) {
  for (auto& [name, generator] : generators(device)) {
    const auto found = state.find(name);
    if (found != state.end()) {
      std::lock_guard lock(generator.mutex());
      generator.set_state(found->second.clone());
    }
  }
}

} // namespace signalllm::training
