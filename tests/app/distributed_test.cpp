// Several processes of the program that train one model.

#include "app/program_test_base.h"
#include "free_port.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <sstream>

namespace signalllm {
namespace {

class AppDistributed : public ProgramTest {
 protected:
  AppDistributed() : ProgramTest(2000, /*draws=*/false) {}

  void TearDown() override {
    ProgramTest::TearDown();
    for (const auto* name : {"RANK", "WORLD_SIZE", "MASTER_PORT"}) {
      ::unsetenv(name);
    }
  }

  std::vector<std::string> command(
      const std::string& out,
      std::vector<std::string> more) const {
    const std::pair<std::string, std::string> usual[] = {
        {"--data", text_}, {"--batch", "4"}};
    for (const auto& [name, value] : usual) {
      if (std::find(more.begin(), more.end(), name) == more.end()) {
        more.insert(more.end(), {name, value});
      }
    }
    more.insert(more.end(), {"--out", folder_ / out, "--report-every", "1"});
    return tiny(more);
  }

  /// Starts `count` processes of the command.
  void start(int count, const std::vector<std::string>& words) {
    programs_.clear();
    children_.clear();
    ::setenv("WORLD_SIZE", std::to_string(count).c_str(), 1);
    ::setenv("MASTER_PORT", std::to_string(free_port()).c_str(), 1);
    for (int rank = 0; rank < count; ++rank) {
      const auto place = folder_ / ("rank" + std::to_string(rank));
      std::filesystem::create_directories(place);
      ::setenv("RANK", std::to_string(rank).c_str(), 1);
      programs_.emplace_back(place);
      children_.push_back(programs_.back().start(words));
    }
    ::unsetenv("WORLD_SIZE");
  }
  Outcome finish(std::size_t rank) {
    return programs_[rank].finish(children_[rank]);
  }
  void train(int count, const std::vector<std::string>& words) {
    start(count, words);
    for (int rank = 0; rank < count; ++rank) {
      const auto outcome = finish(rank);
      EXPECT_EQ(outcome.code, 0) << "process " << rank << ": " << outcome.error;
      EXPECT_EQ(outcome.out.empty(), rank != 0) << outcome.out;
    }
  }
  /// Waits until the log of a run has that step.
  void wait_for_step(const std::string& run, int step) const {
    const auto said = "{\"step\":" + std::to_string(step) + ",";
    wait_until([&] {
      return folder_.read(run + "/log.jsonl").find(said) != std::string::npos;
    });
  }

  std::vector<double> losses(const std::string& run) const {
    std::vector<double> losses;
    std::istringstream log(folder_.read(run + "/log.jsonl"));
    for (std::string line; std::getline(log, line);) {
      const auto json = nlohmann::json::parse(line);
      if (json.contains("loss")) {
        losses.push_back(json["loss"]);
      }
    }
    return losses;
  }
  void expect_same_checkpoint(
      const std::string& a,
      const std::string& b,
      const std::string& step) const {
    for (const auto* file :
         {"model.safetensors", "average.safetensors", "state.json"}) {
      const auto name = "/checkpoint-" + step + "/" + file;
      const auto expected = folder_.read(a + name);
      EXPECT_FALSE(expected.empty()) << file;
      EXPECT_TRUE(folder_.read(b + name) == expected) << file;
    }
  }

  std::vector<Program> programs_;
  std::vector<pid_t> children_;
};

TEST_F(AppDistributed, TwoProcessesHaveOnesLosses) {
  const std::vector<std::string> more{
      "--steps",
      "50",
      "--warmup",
      "5",
      "--accumulate",
      "2",
      "--evaluate-every",
      "25"};
  train(1, command("one", more));
  train(2, command("two", more));
  const auto one = losses("one"), two = losses("two");
  ASSERT_EQ(one.size(), 50u);
  ASSERT_EQ(two.size(), 50u);
  EXPECT_LT(one.back(), 0.9 * one.front());
  for (std::size_t step = 0; step < 50; ++step) {
    // Sums in another order, and the log has six digits. AdamW makes a whole
    // step of a gradient that is all rounding, so that the runs drift apart.
    const auto drift = 2e-5 * static_cast<double>(1 + step);
    EXPECT_NEAR(two[step] / one[step], 1, drift) << step;
  }
}

TEST_F(AppDistributed, AKilledProcessEndsAllAndTheRunResumes) {
  const std::vector<std::string> more{
      "--steps",
      "200",
      "--dropout",
      "0.1",
      "--checkpoint-every",
      "50",
      "--evaluate-every",
      "0"};
  train(2, command("whole", more));
  for (const std::size_t victim : {1, 0}) {
    const auto run = "killed" + std::to_string(victim);
    start(2, command(run, more));
    wait_for_step(run, 77);
    ::kill(children_[victim], SIGKILL);
    // At once, not after the time that one waits for a silent one.
    const auto survivor = finish(1 - victim);
    finish(victim);
    EXPECT_EQ(survivor.code, 1);
    EXPECT_TRUE(survivor.complains("lost contact with another of the 2"))
        << survivor.error;
    train(2, command(run, more));
    expect_same_checkpoint("whole", run, "00000200");
    EXPECT_EQ(losses(run), losses("whole"));
  }
}

TEST_F(AppDistributed, AStuckProcessEndsTheOthersWithinTheTimeOut) {
  start(2, command("stuck", {"--steps", "1000000", "--timeout", "20"}));
  wait_for_step("stuck", 5);
  ::kill(children_[1], SIGSTOP);
  const auto other = finish(0);
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(other.complains("did not answer for 20 s")) << other.error;
  ::kill(children_[1], SIGKILL);
  finish(1);
}

TEST_F(AppDistributed, ASignalToOneSavesAndEndsAll) {
  start(2, command("signal", {"--steps", "1000000"}));
  wait_for_step("signal", 5);
  ::kill(children_[1], SIGTERM);
  for (int rank = 0; rank < 2; ++rank) {
    const auto outcome = finish(rank);
    EXPECT_EQ(outcome.code, 128 + SIGTERM) << outcome.error;
    EXPECT_EQ(outcome.complains("go on with"), rank == 0) << outcome.error;
  }
  // One process goes on with what two have saved.
  const auto done = losses("signal").size();
  const auto steps = std::to_string(done + 5);
  train(1, {"train", "--resume", folder_ / "signal", "--steps", steps});
  EXPECT_EQ(losses("signal").size(), done + 5);
}

TEST_F(AppDistributed, AnErrorIsToldOnce) {
  for (const auto& more : std::vector<std::vector<std::string>>{
           {"--batch", "3"}, {"--data", folder_ / "nothing.txt"}}) {
    start(2, command("wrong", more));
    const auto teller = finish(0), silent = finish(1);
    EXPECT_EQ(teller.code, 1);
    EXPECT_EQ(silent.code, 1);
    EXPECT_TRUE(teller.complains(
        more[0] == "--batch" ? "multiple of the 2 processes" : "nothing.txt"))
        << teller.error;
    EXPECT_EQ(silent.error, "");
  }
}

} // namespace
} // namespace signalllm
