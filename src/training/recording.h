#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

#pragma GCC visibility push(default) // the plug-in and the tests use it

namespace signalllm::training {

/// Device work that is recorded once and then repeated as a whole, which
/// saves the launches of its parts.
class Recording {
 public:
  virtual ~Recording() = default;

  /// Runs `work` where it will be recorded, so that libraries set themselves
  /// up.
  virtual void rehearse(const std::function<void()>& work) = 0;
  /// Records `work` without running it on the device, in place of what was
  /// recorded before. Throws where it does something that cannot be repeated.
  virtual void record(const std::function<void()>& work) = 0;
  /// Queues what was recorded.
  virtual void replay() = 0;
};

using MakeRecording = std::unique_ptr<Recording> (*)(c10::Device device);

/// Says how a kind of device records; null: not at all. The CUDA plug-in does
/// so when it is loaded.
void register_recording(c10::DeviceType type, MakeRecording make);

/// Null where the device cannot.
std::unique_ptr<Recording> make_recording(c10::Device device);

} // namespace signalllm::training

#pragma GCC visibility pop
