#include "support.h"

#include <signalllm/optimize.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>

using namespace signalllm;
using namespace signalllm::test;

struct OptimizeSetupTest : testing::Test {};

TEST_F(OptimizeSetupTest, SaysWhatItFoundAndSetsWhatIsAsked) {
  const auto threads = at::get_num_threads();
  const auto found = setup_mps_optimizations();
  EXPECT_EQ(found.threads, threads);
  EXPECT_EQ(found.available, at::globalContext().hasMPS());
  EXPECT_EQ(setup_mps_optimizations(MPSSetupOptions().threads(1)).threads, 1);
  EXPECT_EQ(at::get_num_threads(), 1);
  at::set_num_threads(threads);
  const auto asked = setup_mps_optimizations(
      MPSSetupOptions().memory_fraction(0.5).fallback(!found.fallback));
  EXPECT_NE(
      printed(asked).find("PYTORCH_ENABLE_MPS_FALLBACK="), std::string::npos);
  if (!found.available) {
    EXPECT_FALSE(asked.memory_fraction.has_value());
    EXPECT_NE(
        printed(asked).find("memory_fraction was not set"), std::string::npos);
  }
  EXPECT_NE(
      message_of([] {
        setup_mps_optimizations(MPSSetupOptions().threads(0));
      }).find("threads is 0, it must be at least 1"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        setup_mps_optimizations(MPSSetupOptions().threads(100000));
      }).find("threads is 100000, this machine takes at most"),
      std::string::npos);
}
