#pragma once

#include <signalllm/export.h>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace signalllm::training {

/// Which process this is of how many, and where they meet.
struct SIGNALLLM_API ProcessPlace {
  int64_t rank = 0;
  int64_t count = 1;
  int64_t local_rank = 0; // among those of this machine
  int64_t local_count = 1;
  std::string address = "127.0.0.1";
  int64_t port = 29500;
  /// Whether this process opens the port; under torchrun its agent does.
  bool serves = true;
  /// Keeps those who meet again after a restart apart from those before.
  std::string round = "0";

  /// From the variables that torchrun sets: RANK, WORLD_SIZE, LOCAL_RANK,
  /// LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_*. Nothing where
  /// WORLD_SIZE is unset or 1. Throws naming a variable that cannot be.
  static std::optional<ProcessPlace> from_environment();
};

/// Thrown by `Processes::together` where the work of another process failed,
/// which tells why.
struct SIGNALLLM_API OtherProcessFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The processes that train one model together, each on its share of every
/// batch. What is marked collective must be called by all of them, in the same
/// order; it throws `c10::DistBackendError` where another process has ended or
/// has not come within the time-out.
///
/// A process that ends the others learn of at once. One that then does not
/// come back from a device within ten seconds ends itself with exit code 1.
///
/// ```
/// auto place = ProcessPlace::from_environment();
/// auto processes = std::make_shared<Processes>(*place);
/// auto device = processes->use(at::kCUDA);
/// Trainer trainer(model, windows, TrainerOptions().processes(processes));
/// ...
/// processes->finish();
/// ```
class SIGNALLLM_API Processes {
 public:
  /// Collective: comes back when all have met.
  explicit Processes(
      const ProcessPlace& place,
      std::chrono::seconds timeout = std::chrono::seconds(300));
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  int64_t rank() const {
    return place_.rank;
  }
  int64_t count() const {
    return place_.count;
  }
  int64_t local_count() const {
    return place_.local_count;
  }
  /// The one that writes: checkpoints, log, messages.
  bool first() const {
    return place_.rank == 0;
  }

  /// This process's device of that kind, made the current one; tensors on it
  /// can be summed and broadcast from now on. Throws where the kind knows no
  /// communication (there are cpu, and cuda with the plug-in), or the machine
  /// has fewer devices than processes.
  c10::Device use(c10::Device kind);

  /// Collective: the smallest of all numbers.
  int64_t least(int64_t mine);
  /// Collective: whether it is true anywhere.
  bool any(bool mine) {
    return least(mine ? 0 : 1) == 0;
  }
  /// Collective: the text of the first process.
  std::string share(const std::string& text);
  /// Collective: the tensors get the values of the first process's.
  void broadcast(const std::vector<at::Tensor>& tensors);
  /// Collective: the tensor becomes the sum of all.
  void sum(const at::Tensor& tensor);

  /// Collective: does `work`, in which nothing is collective. Where it throws,
  /// all throw: the first of those where it did its error, the others
  /// `OtherProcessFailed`.
  void together(const std::function<void()>& work);

  /// Collective, the last: nobody is missed any more after it.
  void finish();

  struct Parts;
  Parts& parts() {
    return *parts_;
  }

 private:
  ProcessPlace place_;
  std::unique_ptr<Parts> parts_;
};

} // namespace signalllm::training
