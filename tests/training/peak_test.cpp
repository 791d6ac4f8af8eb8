#include "training/peak.h"

#include <gtest/gtest.h>

namespace signalllm::training {
namespace {

TEST(Peak, IsOfTheNameAndTheType) {
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA H100 80GB HBM3", true), 989.4e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA H100 80GB HBM3", false), 66.9e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA H100 PCIe", true), 756e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA H200", true), 989.4e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA A100-SXM4-80GB", true), 311.9e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA L40S", true), 362e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA L4", true), 121e12);
  EXPECT_DOUBLE_EQ(peak_flops("NVIDIA GeForce GTX 750", true), 0);
  EXPECT_DOUBLE_EQ(peak_flops("", true), 0);
}

TEST(Peak, ADeviceHasTheNameThatWasRegistered) {
  EXPECT_EQ(device_name(c10::Device(c10::kCPU)), "");
  register_device_names(c10::kHPU, [](c10::Device device) {
    return "number " + std::to_string(device.index());
  });
  EXPECT_EQ(device_name(c10::Device(c10::kHPU, 3)), "number 3");
}

} // namespace
} // namespace signalllm::training
