// Memory, guard and hooks: what makes `torch::kMPS` a device that exists.
#include "mps/host_device.h"

#include "mps/host_mps.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/version.h>

#include <numeric>

namespace signalllm::host_mps {

Counters& counters() {
  static Counters counters;
  return counters;
}

void reset() {
  counters() = {};
}

int64_t Counters::launches() const {
  return std::accumulate(
      operators.begin(),
      operators.end(),
      int64_t{0},
      [](int64_t sum, const auto& item) { return sum + item.second; });
}

namespace {

void release(void* memory) {
  if (memory != nullptr) {
    c10::GetCPUAllocator()->raw_deallocate(memory);
  }
}

struct HostAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* memory =
        bytes > 0 ? c10::GetCPUAllocator()->raw_allocate(bytes) : nullptr;
    return {memory, memory, &release, c10::Device(c10::kMPS, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return &release;
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

} // namespace

c10::Allocator& allocator() {
  static HostAllocator allocator;
  return allocator;
}

namespace {

struct HostGuard final : c10::impl::DeviceGuardImplInterface {
  HostGuard() = default;
  explicit HostGuard(c10::DeviceType) {}
  c10::DeviceType type() const override {
    return c10::kMPS;
  }
  c10::Device exchangeDevice(c10::Device) const override {
    return getDevice();
  }
  c10::Device getDevice() const override {
    return {c10::kMPS, 0};
  }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override {
    return c10::Stream(c10::Stream::DEFAULT, getDevice());
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return getStream(device);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream;
  }
  c10::DeviceIndex deviceCount() const noexcept override {
    return 1;
  }
};

[[maybe_unused]] const c10::AllocatorRegisterer<c10::DeviceType::MPS>
    register_allocator(&allocator());

C10_REGISTER_GUARD_IMPL(MPS, HostGuard)

} // namespace

struct MPSHooks final : at::MPSHooksInterface {
#if TORCH_VERSION_MAJOR * 100 + TORCH_VERSION_MINOR >= 213
  MPSHooks() = default;
#else
  explicit MPSHooks(at::MPSHooksArgs) {}
#endif
  void init() const override {}
  bool hasMPS() const override {
    return true;
  }
  bool isBuilt() const override {
    return true;
  }
  bool isAvailable() const override {
    return true;
  }
  bool hasPrimaryContext(c10::DeviceIndex) const override {
    return true;
  }
  bool isOnMacOSorNewer(unsigned, unsigned) const override {
    return true;
  }
  c10::DeviceIndex deviceCount() const override {
    return 1;
  }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<at::CPUGeneratorImpl>();
  }
  c10::Allocator* getMPSDeviceAllocator() const override {
    return &allocator();
  }
  void deviceSynchronize() const override {
    ++counters().synchronisations;
  }
  void commitStream() const override {}
  void emptyCache() const override {}
  size_t getCurrentAllocatedMemory() const override {
    return 0;
  }
  size_t getDriverAllocatedMemory() const override {
    return 0;
  }
  size_t getRecommendedMaxMemory() const override {
    return size_t{8} << 30;
  }
  c10::Device getDeviceFromPtr(void*) const override {
    return {c10::kMPS, 0};
  }
};

} // namespace signalllm::host_mps

namespace at {
using signalllm::host_mps::MPSHooks;
REGISTER_MPS_HOOKS(MPSHooks)
} // namespace at
