#include <signalllm/training/distributed.h>

#include "messages.h"
#include "training/in_processes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace signalllm::training {
namespace {

TEST(Processes, AnErrorOfOneIsAnErrorOfAll) {
  std::mutex mutex;
  std::map<int64_t, std::string> errors;
  in_processes(3, [&](std::shared_ptr<Processes> processes) {
    const auto rank = processes->rank();
    std::string error;
    try {
      processes->together(
          [&] { TORCH_CHECK(rank == 0, "process ", rank, " has no disk"); });
    } catch (const OtherProcessFailed&) {
      error = "other";
    } catch (const c10::Error& own) {
      error = own.what_without_backtrace();
    }
    processes->together([] {}); // nobody is out of step
    processes->finish();
    const std::lock_guard lock(mutex);
    errors[rank] = error;
  });
  EXPECT_EQ(errors[0], "other");
  EXPECT_EQ(errors[1], "process 1 has no disk");
  EXPECT_EQ(errors[2], "other");
}

TEST(Processes, WhoLeavesIsMissed) {
  in_processes(2, [&](std::shared_ptr<Processes> processes) {
    if (processes->rank() == 1) {
      return; // without a farewell
    }
    EXPECT_THROW(processes->least(1), c10::DistBackendError);
  });
}

/// Sets variables while it lives.
class Environment {
 public:
  explicit Environment(std::map<std::string, std::string> values)
      : values_(std::move(values)) {
    for (const auto& [name, value] : values_) {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : values_) {
      ::unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::string> values_;
};

TEST(Processes, ReadsTheVariablesOfTorchrun) {
  EXPECT_FALSE(ProcessPlace::from_environment());
  {
    const Environment one({{"WORLD_SIZE", "1"}, {"RANK", "0"}});
    EXPECT_FALSE(ProcessPlace::from_environment());
  }
  {
    const Environment agent(
        {{"WORLD_SIZE", "8"},
         {"RANK", "0"},
         {"LOCAL_RANK", "0"},
         {"LOCAL_WORLD_SIZE", "4"},
         {"MASTER_ADDR", "host"},
         {"MASTER_PORT", "1234"},
         {"TORCHELASTIC_USE_AGENT_STORE", "True"},
         {"TORCHELASTIC_RESTART_COUNT", "2"}});
    const auto place = ProcessPlace::from_environment();
    ASSERT_TRUE(place);
    EXPECT_EQ(place->count, 8);
    EXPECT_EQ(place->local_count, 4);
    EXPECT_EQ(place->address, "host");
    EXPECT_EQ(place->port, 1234);
    EXPECT_EQ(place->round, "2");
    EXPECT_FALSE(place->serves);
  }
  {
    const Environment plain({{"WORLD_SIZE", "2"}, {"RANK", "0"}});
    EXPECT_TRUE(ProcessPlace::from_environment()->serves);
  }
  const auto refused = [](std::map<std::string, std::string> values) {
    const Environment environment(std::move(values));
    return message_of([] { ProcessPlace::from_environment(); });
  };
  EXPECT_TRUE(contains(refused({{"WORLD_SIZE", "2"}}), "RANK is not set"));
  EXPECT_TRUE(
      contains(refused({{"WORLD_SIZE", "two"}}), "WORLD_SIZE is 'two'"));
  EXPECT_TRUE(contains(
      refused({{"WORLD_SIZE", "2"}, {"RANK", "2"}}), "below WORLD_SIZE, 2"));
}

} // namespace
} // namespace signalllm::training
