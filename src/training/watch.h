#pragma once

#include <signalllm/training/distributed.h>

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace signalllm::training {

/// Notices that another process of the run has ended. Process r waits, on a
/// thread of its own, for a farewell from process r + 1; a connection that
/// breaks instead means that it is gone. The main thread mostly learns the same
/// from its own communication and has ten seconds to end in its own way; where
/// it waits for a device that waits for the lost one, the process is ended.
class Watch {
 public:
  /// `backend` sends what is on the CPU.
  Watch(
      c10::intrusive_ptr<c10d::Backend> backend,
      const ProcessPlace& place,
      std::chrono::seconds timeout);
  /// Without a farewell, which the others take for a death.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Says farewell, waits for the other's.
  void farewell();

  /// What to tell a user who lost a process.
  std::string message() const;

 private:
  void run();

  c10::intrusive_ptr<c10d::Backend> backend_;
  int rank_, count_;
  std::chrono::seconds timeout_;
  c10::intrusive_ptr<c10d::Work> farewell_; // of the other
  std::mutex mutex_;
  std::condition_variable changed_;
  bool leaving_ = false; // this process ends, whatever comes
  bool heard_ = false;
  std::thread thread_;
};

} // namespace signalllm::training
