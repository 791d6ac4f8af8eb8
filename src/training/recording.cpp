#include "training/recording.h"

#include <map>
#include <mutex>

namespace signalllm::training {
namespace {

struct Makers {
  std::mutex mutex;
  std::map<c10::DeviceType, MakeRecording> of;
};

Makers& makers() {
  static Makers makers;
  return makers;
}

} // namespace

void register_recording(c10::DeviceType type, MakeRecording make) {
  const std::lock_guard lock(makers().mutex);
  makers().of[type] = make;
}

std::unique_ptr<Recording> make_recording(c10::Device device) {
  const std::lock_guard lock(makers().mutex);
  const auto found = makers().of.find(device.type());
  return found != makers().of.end() && found->second != nullptr
      ? found->second(device)
      : nullptr;
}

} // namespace signalllm::training
