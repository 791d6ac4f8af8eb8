#pragma once

#include "mps/host_mps.h"
#include "support.h"

#include <functional>
#include <string>

namespace signalllm::test {

/// Chooses the operators of a version of torch while it lives.
class OperatorsOf {
 public:
  explicit OperatorsOf(host_mps::Torch version) {
    host_mps::use_operators(version);
  }
  OperatorsOf(const OperatorsOf&) = delete;
  OperatorsOf& operator=(const OperatorsOf&) = delete;
  ~OperatorsOf() {
    host_mps::use_operators(host_mps::Torch::Installed);
  }
};

/// What was launched since `reset`, and how often.
inline std::string launched() {
  std::string table;
  for (const auto& [name, count] : host_mps::counters().operators) {
    table += name + ":" + std::to_string(count) + " ";
  }
  return table;
}

/// What is wrong with `work` on MPS: the error it throws, values read, copies.
/// "" where all is well.
inline std::string faults(const std::function<void()>& work) {
  host_mps::reset();
  auto found = message_of(work);
  const auto& c = host_mps::counters();
  const auto count = [&](const char* what, int64_t n) {
    found += n > 0 ? std::string(what) + std::to_string(n) + " " : "";
  };
  count("synchronisations: ", c.synchronisations);
  count("copies to the host: ", c.copies_to_host);
  count("copies to the device: ", c.copies_to_device);
  return found;
}

} // namespace signalllm::test
