// signalllm train --resume: runs that end, or are ended, and go on.

#include "app/program_test_base.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <sstream>

namespace signalllm {
namespace {

class AppResume : public ProgramTest {};

TEST_F(AppResume, TextMayMoveButNotChange) {
  const auto run = folder_ / "run";
  ASSERT_EQ(
      program_(tiny({"--data", text_, "--out", run, "--steps", "2"})).code, 0);
  const auto text = folder_.read("text.txt");
  const auto moved = folder_.write("moved/text.txt", text);
  const auto other = folder_.write("other.txt", "X" + text.substr(1));
  const auto config = folder_.read("run/config.json");
  const auto refused =
      program_({"train", "--resume", run, "--data", other, "--steps", "4"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(refused.complains("--force-data goes on")) << refused.error;
  EXPECT_EQ(folder_.read("run/config.json"), config);
  const auto resumed =
      program_({"train", "--resume", run, "--data", moved, "--steps", "4"});
  EXPECT_EQ(resumed.code, 0) << resumed.error;

  folder_.write("moved/text.txt", "X" + text.substr(1)); // where it lies
  const auto changed = program_({"train", "--resume", run, "--steps", "6"});
  EXPECT_EQ(changed.code, 1);
  EXPECT_TRUE(changed.complains("when the run began")) << changed.error;
  const auto scored = program_({"eval", "--run", run, "--threads", "1"});
  EXPECT_EQ(scored.code, 1);
  EXPECT_TRUE(scored.complains("--data names a text")) << scored.error;
  const auto forced =
      program_({"train", "--resume", run, "--steps", "6", "--force-data"});
  EXPECT_EQ(forced.code, 0) << forced.error;
  EXPECT_EQ(program_({"train", "--resume", run, "--steps", "7"}).code, 0);
}

TEST_F(AppResume, ResumesToTheSameWeights) {
  const auto whole = folder_ / "whole", half = folder_ / "half";
  const auto options = [&](const std::string& out, const char* steps) {
    return tiny(
        {"--data",
         text_,
         "--out",
         out,
         "--steps",
         steps,
         "--schedule",
         "constant",
         "--dropout",
         "0.1"});
  };
  ASSERT_EQ(program_(options(whole, "8")).code, 0);
  ASSERT_EQ(program_(options(half, "4")).code, 0);
  const auto resumed = program_({"train", "--resume", half, "--steps", "8"});
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_TRUE(resumed.says("resumed after step 4")) << resumed.out;
  const std::string weights = "/checkpoint-00000008/model.safetensors";
  EXPECT_EQ(folder_.read("whole" + weights), folder_.read("half" + weights));

  for (const auto& words :
       {std::vector<std::string>{"train", "--resume", half},
        options(half, "8")}) { // the same command again
    const auto again = program_(words);
    EXPECT_EQ(again.code, 0) << again.error;
    EXPECT_TRUE(again.says("has done its 8 steps")) << again.out;
  }
}

TEST_F(AppResume, AWsdRunMayBecomeLonger) {
  const auto run = folder_ / "run", whole = folder_ / "whole";
  const auto options = [&](const std::string& out, const char* steps) {
    return tiny(
        {"--data",
         text_,
         "--out",
         out,
         "--steps",
         steps,
         "--schedule",
         "wsd",
         "--warmup",
         "2",
         "--lr",
         "1e-3",
         "--min-lr",
         "0",
         "--decay-fraction",
         "0.25",
         "--report-every",
         "1",
         "--keep",
         "0",
         "--checkpoint-every",
         "6"});
  };
  const auto rates = [&](const std::string& name) {
    std::vector<double> rates;
    std::istringstream log(folder_.read(name + "/log.jsonl"));
    for (std::string line; std::getline(log, line);) {
      const auto json = nlohmann::json::parse(line);
      if (json.contains("learning_rate")) {
        rates.push_back(json["learning_rate"]);
      }
    }
    return rates;
  };
  ASSERT_EQ(program_(options(run, "8")).code, 0);
  auto expected = std::vector<double>(8, 1e-3);
  expected[0] = 1e-3 / 3;
  expected[1] = 2e-3 / 3;
  expected[7] = 1e-3 * (1 - std::sqrt(0.5)); // the decay begins at 6
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(rates("run").at(i), expected[i], 1e-8) << i;
  }
  // Before the decay it is the run that was meant to be longer from the start.
  std::filesystem::remove_all(run + "/checkpoint-00000008");
  ASSERT_EQ(program_({"train", "--resume", run, "--steps", "16"}).code, 0);
  ASSERT_EQ(program_(options(whole, "16")).code, 0);
  EXPECT_EQ(rates("run"), rates("whole"));
  const std::string weights = "/checkpoint-00000016/model.safetensors";
  EXPECT_TRUE(folder_.read("run" + weights) == folder_.read("whole" + weights));
}

TEST_F(AppResume, ARefusedResumeChangesNothing) {
  const auto run = folder_ / "run";
  ASSERT_EQ(
      program_(tiny({"--data", text_, "--out", run, "--steps", "4"})).code, 0);
  const auto files = [&] {
    std::map<std::string, std::string> all;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(run)) {
      if (entry.is_regular_file() && entry.path().filename() != ".lock") {
        all[entry.path().string()] =
            folder_.read(entry.path().lexically_relative(folder_.path()));
      }
    }
    return all;
  };
  const auto refused = [&](std::vector<std::string> words,
                           const std::string& part) {
    const auto before = files();
    words.insert(words.begin(), {"train", "--resume", run, "--lr", "5"});
    const auto outcome = program_(words);
    EXPECT_EQ(outcome.code, 1) << part;
    EXPECT_NE(outcome.error.find(part), std::string::npos) << outcome.error;
    EXPECT_TRUE(files() == before) << part;
  };
  refused({"--steps", "9", "--dim", "32"}, "--dim");
  refused({"--steps", "3"}, "has done 4 steps already; --steps is 3");
  refused({"--steps", "9", "--rollbacks", "-1"}, "--rollbacks is -1");
  refused({"--steps", "9", "--divergence", "1"}, "--divergence is 1");
  // Complete: nothing to do, whatever the rate.
  const auto before = files();
  EXPECT_EQ(program_({"train", "--resume", run, "--lr", "5"}).code, 0);
  EXPECT_TRUE(files() == before);
  folder_.write("run/checkpoint-00000004/state.json", "");
  refused({"--steps", "9"}, "1 damaged");
}

TEST_F(AppResume, ARunKilledBeforeItsFirstCheckpointStartsAgain) {
  const auto with = [&](const std::string& out, const std::string& steps) {
    return tiny(
        {"--data",
         text_,
         "--out",
         out,
         "--report-every",
         "1",
         "--steps",
         steps});
  };
  const auto whole = folder_ / "whole", killed = folder_ / "killed";
  ASSERT_EQ(program_(with(whole, "6")).code, 0);
  for (const bool resume : {true, false}) {
    std::filesystem::remove_all(killed);
    auto words = with(killed, "1000000");
    words.insert(words.end(), {"--checkpoint-every", "0", "--tensorboard"});
    const auto child = program_.start(words);
    wait_until([&] { return !folder_.read("killed/log.jsonl").empty(); });
    ::kill(child, SIGKILL);
    EXPECT_EQ(program_.finish(child).code, -1);
    const auto again = resume
        ? program_({"train", "--resume", killed, "--steps", "6"})
        : program_(with(killed, "6"));
    EXPECT_EQ(again.code, 0) << again.error;
    EXPECT_EQ(again.says("from the beginning"), resume) << again.out;
    const std::string weights = "/checkpoint-00000006/model.safetensors";
    EXPECT_EQ(
        folder_.read("whole" + weights), folder_.read("killed" + weights));
    const auto log = folder_.read("killed/log.jsonl");
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 7) << log;
  }
}

TEST_F(AppResume, ASignalLeavesACheckpoint) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const auto name = "run" + std::to_string(signal);
    const auto run = folder_ / name;
    const auto child = program_.start(tiny(
        {"--data",
         text_,
         "--out",
         run,
         "--steps",
         "1000000",
         "--report-every",
         "1"}));
    wait_until([&] { return !folder_.read(name + "/log.jsonl").empty(); });
    ::kill(child, signal);
    const auto stopped = program_.finish(child);
    EXPECT_EQ(stopped.code, 128 + signal);
    EXPECT_TRUE(stopped.complains("--resume " + run)) << stopped.error;
    EXPECT_EQ(program_({"eval", "--run", run}).code, 0);
  }
}

} // namespace
} // namespace signalllm
