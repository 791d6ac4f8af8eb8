#include <signalllm/training/distributed.h>

#include "training/backend.h"
#include "training/process_group.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/csrc/distributed/c10d/comm.hpp>

#include <cstring>
#include <exception>
#include <map>

namespace signalllm::training {
namespace {

std::map<c10::DeviceType, MakeBackend>& backends() {
  static std::map<c10::DeviceType, MakeBackend> backends;
  return backends;
}

} // namespace

void register_backend(c10::DeviceType type, MakeBackend make) {
  backends()[type] = make;
}

Processes::Processes(const ProcessPlace& place, std::chrono::seconds timeout)
    : place_(place), parts_(std::make_unique<Parts>()) {
  TORCH_CHECK(
      place_.count >= 2 && place_.rank >= 0 && place_.rank < place_.count,
      "Processes: no process ",
      place_.rank,
      " of ",
      place_.count,
      "; there must be two or more, numbered from 0");
  parts_->timeout = timeout;
  try {
    parts_->store = meeting_store(place_, timeout);
    parts_->group = cpu_group(parts_->store, place_, timeout);
  } catch (const std::exception& error) {
    TORCH_CHECK_WITH(
        DistBackendError,
        false,
        "the ",
        place_.count,
        " processes did not meet at ",
        place_.address,
        ":",
        place_.port,
        " within ",
        timeout.count(),
        " s: ",
        std::string(error.what()).substr(0, std::strcspn(error.what(), "\n")));
  }
  parts_->watch = std::make_unique<Watch>(
      parts_->group->getBackend(at::kCPU), place_, timeout);
}

Processes::~Processes() = default;

c10::Device Processes::use(c10::Device kind) {
  if (kind.is_cpu()) {
    return kind;
  }
  const auto found = backends().find(kind.type());
  TORCH_CHECK(
      found != backends().end(),
      "several processes cannot train on ",
      kind.type(),
      " here: nothing that was built knows how they communicate (there are "
      "cpu, and cuda where the plug-in was built with NCCL)");
  const auto* guard = c10::impl::getDeviceGuardImpl(kind.type());
  TORCH_CHECK(
      place_.local_rank < guard->deviceCount(),
      "LOCAL_RANK is ",
      place_.local_rank,
      ", this machine has ",
      static_cast<int>(guard->deviceCount()),
      " ",
      kind.type(),
      " devices: one process each");
  const c10::Device device(
      kind.type(), static_cast<c10::DeviceIndex>(place_.local_rank));
  guard->setDevice(device);
  parts_->group->setBackend(
      kind.type(),
      c10d::ProcessGroup::BackendType::NCCL,
      found->second(
          parts_->store,
          static_cast<int>(place_.rank),
          static_cast<int>(place_.count),
          parts_->timeout));
  return device;
}

int64_t Processes::least(int64_t mine) {
  return among(*this, [&] {
    std::vector<at::Tensor> number{at::full({1}, mine, at::kLong)};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MIN;
    parts_->group->allreduce(number, options)->wait();
    return number[0].item<int64_t>();
  });
}

std::string Processes::share(const std::string& text) {
  auto size = at::full({1}, static_cast<int64_t>(text.size()), at::kLong);
  broadcast({size});
  auto bytes = at::empty({size.item<int64_t>()}, at::kByte);
  if (bytes.numel() == 0) {
    return "";
  }
  auto* data = bytes.mutable_data_ptr<uint8_t>();
  if (first()) {
    std::memcpy(data, text.data(), text.size());
  }
  broadcast({bytes});
  return {reinterpret_cast<const char*>(data), bytes.nbytes()};
}

void Processes::broadcast(const std::vector<at::Tensor>& tensors) {
  constexpr std::size_t most = std::size_t{250} << 20; // bytes at once
  among(*this, [&] {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> values;
    for (const auto& tensor : tensors) {
      values.push_back(tensor.detach());
    }
    c10d::broadcast_coalesced(parts_->group, values, most, /*rank=*/0);
  });
}

void Processes::sum(const at::Tensor& tensor) {
  among(*this, [&] {
    std::vector<at::Tensor> one{tensor};
    parts_->group->allreduce(one)->wait();
  });
}

void Processes::together(const std::function<void()>& work) {
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  const auto failed = least(error ? rank() : count());
  if (failed == rank()) {
    std::rethrow_exception(error);
  }
  if (failed < count()) {
    throw OtherProcessFailed(c10::str("process ", failed, " failed"));
  }
}

void Processes::finish() {
  among(*this, [&] { parts_->watch->farewell(); });
}

} // namespace signalllm::training
