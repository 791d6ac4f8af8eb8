#include "training/peak.h"

#include <map>
#include <mutex>

namespace signalllm::training {
namespace {

struct DeviceNames {
  std::mutex mutex;
  std::map<c10::DeviceType, NameDevice> of;
};

DeviceNames& device_names() {
  static DeviceNames names;
  return names;
}

} // namespace

void register_device_names(c10::DeviceType type, NameDevice name) {
  const std::lock_guard lock(device_names().mutex);
  device_names().of[type] = name;
}

std::string device_name(c10::Device device) {
  const std::lock_guard lock(device_names().mutex);
  const auto found = device_names().of.find(device.type());
  return found != device_names().of.end() ? found->second(device) : "";
}

double peak_flops(const std::string& device, bool bfloat16) {
  struct Row {
    const char* part; // of the name; the first that fits counts
    double float32, bfloat16; // 10^12 a second
  };
  static constexpr Row rows[] = {
      {"H200 NVL", 60, 835.5},
      {"H200", 66.9, 989.4},
      {"H100 NVL", 60, 835.5},
      {"H100 PCIe", 51.2, 756},
      {"H100", 66.9, 989.4},
      {"A100", 19.5, 311.9},
      {"L40S", 91.6, 362},
      {"L40", 90.5, 181},
      {"L4", 30.3, 121},
  };
  for (const auto& row : rows) {
    if (device.find(row.part) != std::string::npos) {
      return (bfloat16 ? row.bfloat16 : row.float32) * 1e12;
    }
  }
  return 0;
}

} // namespace signalllm::training
