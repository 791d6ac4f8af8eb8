// Runs that are killed at random moments and started again, by the same
// command or by --resume, end with the checkpoint of one that never was.

#include "app/program_test_base.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <sstream>
#include <thread>

namespace signalllm {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class AppKills : public ProgramTest {
 protected:
  AppKills() : ProgramTest(2000, /*draws=*/false) {}

  /// A run of a second; its last validation takes a good part of it.
  std::vector<std::string> command(
      const std::string& out,
      const std::string& checkpoint_every) const {
    return tiny(
        {"--data",
         text_,
         "--out",
         out,
         "--steps",
         steps_,
         "--lr",
         lr_,
         "--min-lr",
         min_lr_,
         "--dropout",
         "0.1",
         "--evaluate-every",
         evaluate_every_,
         "--patience",
         patience_,
         "--valid-fraction",
         "0.5",
         "--checkpoint-every",
         checkpoint_every});
  }

  /// Starts it and kills it that many seconds later, if it still runs then.
  /// Returns whether it had ended by itself.
  bool ends_within(const std::vector<std::string>& words, double seconds) {
    const auto child = program_.start(words);
    std::this_thread::sleep_for(Seconds(seconds));
    ::kill(child, SIGKILL);
    const auto outcome = program_.finish(child);
    // Killed, or well: whatever state a kill left, the next start can take it.
    EXPECT_TRUE(outcome.code == 0 || outcome.code == -1) << outcome.error;
    return outcome.code == 0;
  }

  void expect_same_end(const std::string& run) {
    const std::string last = "/checkpoint-00000120/";
    for (const auto* file :
         {"model.safetensors",
          "average.safetensors",
          "optimizer.safetensors",
          "state.json"}) {
      const auto expected = folder_.read("whole" + last + file);
      EXPECT_FALSE(expected.empty()) << file;
      EXPECT_TRUE(folder_.read(run + last + file) == expected) << file;
    }
    // Every step is told once, and both validations.
    const auto steps = [&](const std::string& from) {
      std::vector<std::string> lines;
      std::istringstream log(folder_.read(from + "/log.jsonl"));
      for (std::string line; std::getline(log, line);) {
        const auto timed = line.find(",\"tokens_per_second\"");
        lines.push_back(line.substr(0, timed));
      }
      return lines;
    };
    EXPECT_EQ(steps(run), steps("whole"));
  }

  void kill_twenty_times(const std::string& checkpoint_every) {
    const auto start = Clock::now();
    const auto whole = program_(command(folder_ / "whole", checkpoint_every));
    ASSERT_EQ(whole.code, 0) << whole.error;
    const double whole_time = Seconds(Clock::now() - start).count();
    std::uniform_real_distribution<double> moment(0, whole_time);
    std::bernoulli_distribution coin;
    int runs = 1;
    const auto name = [&] { return "run" + std::to_string(runs); };
    for (int kills = 0; kills < 20 && !HasFailure();) {
      auto words = command(folder_ / name(), checkpoint_every);
      if (fs::exists(folder_ / (name() + "/config.json")) && coin(random_)) {
        words = {"train", "--resume", folder_ / name()};
      }
      if (ends_within(words, moment(random_))) {
        expect_same_end(name());
        ++runs;
      } else {
        ++kills;
      }
    }
    const auto last = program_(command(folder_ / name(), checkpoint_every));
    ASSERT_EQ(last.code, 0) << last.error;
    expect_same_end(name());
  }

  std::string steps_ = "120", lr_ = "2e-3", min_lr_ = "1e-4",
              evaluate_every_ = "60", patience_ = "0";
  std::mt19937 random_{std::random_device{}()};
};

TEST_F(AppKills, TwentyKillsCostNothing) {
  kill_twenty_times("7");
}

TEST_F(AppKills, TwentyKillsOfARunThatLosesPatience) {
  steps_ = "1000";
  lr_ = min_lr_ =
      "0"; // nothing is learned: the first validation stays the best
  evaluate_every_ = "30";
  patience_ = "3"; // 60, 90 and 120
  kill_twenty_times("7");
}

TEST_F(AppKills, TwentyKillsBeforeTheFirstCheckpoint) {
  kill_twenty_times("1000000");
}

} // namespace
} // namespace signalllm
