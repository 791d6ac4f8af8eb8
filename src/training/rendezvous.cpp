#include "training/process_group.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <charconv>
#include <cstdlib>
#include <limits>

namespace signalllm::training {
namespace {

/// The whole number that a variable holds, `otherwise` where it is unset.
int64_t number(const char* name, std::optional<int64_t> otherwise = {}) {
  const char* text = std::getenv(name);
  if (text == nullptr) {
    TORCH_CHECK(
        otherwise, name, " is not set, though WORLD_SIZE is: torchrun sets it");
    return *otherwise;
  }
  int64_t value = -1;
  const auto* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  TORCH_CHECK(
      error == std::errc() && rest == end && value >= 0 &&
          value <= std::numeric_limits<int>::max(),
      name,
      " is '",
      text,
      "'; it must be a whole number");
  return value;
}

std::string word(const char* name, const char* otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : otherwise;
}

bool is_this_machine(const std::string& address) {
  return address == "localhost" || address.starts_with("127.");
}

} // namespace

std::optional<ProcessPlace> ProcessPlace::from_environment() {
  ProcessPlace place;
  place.count = number("WORLD_SIZE", 1);
  if (place.count == 1) {
    return {};
  }
  TORCH_CHECK(place.count > 1, "WORLD_SIZE is 0; at least 1");
  place.rank = number("RANK");
  TORCH_CHECK(
      place.rank < place.count,
      "RANK is ",
      place.rank,
      "; it must be below WORLD_SIZE, ",
      place.count);
  place.local_rank = number("LOCAL_RANK", place.rank);
  place.local_count = number("LOCAL_WORLD_SIZE", place.count);
  place.address = word("MASTER_ADDR", "127.0.0.1");
  place.port = number("MASTER_PORT", place.port);
  place.serves = place.rank == 0 &&
      word("TORCHELASTIC_USE_AGENT_STORE", "False") != "True";
  place.round = word("TORCHELASTIC_RESTART_COUNT", "0");
  return place;
}

c10::intrusive_ptr<c10d::Store> meeting_store(
    const ProcessPlace& place,
    std::chrono::seconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(place.port);
  options.isServer = place.serves;
  options.numWorkers = static_cast<std::size_t>(place.count);
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::PrefixStore>(
      "signalllm/" + place.round,
      c10::make_intrusive<c10d::TCPStore>(place.address, options));
}

c10::intrusive_ptr<c10d::ProcessGroup> cpu_group(
    const c10::intrusive_ptr<c10d::Store>& store,
    const ProcessPlace& place,
    std::chrono::seconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  using Group = c10d::ProcessGroup;
  const auto rank = static_cast<int>(place.rank);
  const auto count = static_cast<int>(place.count);
  auto options = Gloo::Options::create(timeout);
  const auto interface = word("GLOO_SOCKET_IFNAME", "");
  options->devices.push_back(
      !interface.empty() ? Gloo::createDeviceForInterface(interface)
          : is_this_machine(place.address)
          ? Gloo::createDeviceForHostname("127.0.0.1")
          : Gloo::createDefaultDevice());
  auto group = c10::make_intrusive<Group>(store, rank, count);
  group->setBackend(
      at::kCPU,
      Group::BackendType::GLOO,
      c10::make_intrusive<Gloo>(store, rank, count, options));
  group->setDefaultBackend(Group::BackendType::GLOO);
  return group;
}

} // namespace signalllm::training
