#include "app/program_test_base.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

namespace signalllm {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

class AppEvolve : public ProgramTest {
 protected:
  /// A search that is as small as can be, where `more` does not say otherwise.
  Words search(const std::string& run, const Words& more = {}) const {
    auto words = tiny(
        {"--data",
         text_,
         "--out",
         folder_ / run,
         "--warmup",
         "1",
         "--layers",
         "1"});
    words[0] = "evolve";
    for (const auto& [name, value] : std::map<std::string, std::string>{
             {"--generations", "2"},
             {"--population", "4"},
             {"--steps", "4"},
             {"--rungs", "2"},
             {"--seeds", "2"},
             {"--attention", "0.5"},
             {"--jobs", "1"}}) {
      if (std::find(more.begin(), more.end(), name) == more.end()) {
        words.insert(words.end(), {name, value});
      }
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  Words resume(const std::string& run, const Words& more = {}) const {
    Words words{"evolve", "--resume", folder_ / run, "--generations", "2"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// What the trials gave, by number, without what is measured.
  std::map<int64_t, json> history(const std::string& run) const {
    std::map<int64_t, json> trials;
    std::istringstream lines(folder_.read(run + "/history.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      auto trial = json::parse(line);
      EXPECT_GE(trial["seconds_per_token"].get<double>(), 0);
      trial.erase("seconds_per_token");
      trial.erase("bytes_per_token");
      const auto number = trial["trial"].get<int64_t>();
      EXPECT_TRUE(trials.emplace(number, trial).second)
          << number << " was done twice";
    }
    return trials;
  }

  void expect_refused(const Words& words, const std::string& part) const {
    const auto outcome = program_(words);
    EXPECT_NE(outcome.code, 0);
    EXPECT_TRUE(outcome.complains(part)) << outcome.error;
  }
};

TEST_F(AppEvolve, GoesOnAsIfItHadNeverStoppedHoweverManyWork) {
  ASSERT_EQ(program_(search("whole")).code, 0);
  ASSERT_EQ(
      program_(search("parts", {"--jobs", "3", "--generations", "1"})).code, 0);
  const auto resumed = program_(resume("parts", {"--jobs", "2"}));
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  const auto whole = history("whole");
  EXPECT_EQ(history("parts"), whole);
  // Two generations of four, two of each climb, and some other seeds.
  EXPECT_GE(whole.size(), 13u);
  std::set<double> losses;
  for (const auto& [number, trial] : whole) {
    losses.insert(trial["loss"].get<double>());
    EXPECT_EQ(trial["steps"], trial["rung"] == 0 ? 2 : 4);
  }
  EXPECT_GE(losses.size(), 12u); // the genomes matter
  EXPECT_FALSE(std::filesystem::exists(folder_ / "whole/trials"));
}

TEST_F(AppEvolve, ATrialOfTheLastRungIsATrainingWithoutABreak) {
  ASSERT_EQ(program_(search("halved")).code, 0);
  ASSERT_EQ(program_(search("straight", {"--rungs", "1"})).code, 0);
  std::map<std::string, json> losses;
  for (const auto& [number, trial] : history("straight")) {
    losses[trial["basis"].dump() + trial["seed"].dump()] = trial["loss"];
  }
  int same = 0;
  for (const auto& [number, trial] : history("halved")) {
    const auto found =
        losses.find(trial["basis"].dump() + trial["seed"].dump());
    if (trial["rung"] == 1 && found != losses.end()) {
      EXPECT_EQ(trial["loss"], found->second);
      ++same;
    }
  }
  EXPECT_GE(same, 2);
}

TEST_F(AppEvolve, TenKillsCostAtMostATrialEach) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  ASSERT_EQ(program_(search("whole")).code, 0);
  const std::chrono::duration<double> whole_time = Clock::now() - start;
  std::mt19937 random(std::random_device{}());
  // Beginning and end are of no interest: there it loads, and is done.
  std::uniform_real_distribution<double> moment(
      0.3 * whole_time.count(), whole_time.count());
  int kills = 0;
  for (int run = 1; kills < 10; ++run) {
    const auto name = "run" + std::to_string(run);
    for (bool over = false; !over;) {
      const bool begun =
          std::filesystem::exists(folder_ / (name + "/config.json"));
      const auto before = begun ? history(name).size() : 0;
      const auto child = program_.start(begun ? resume(name) : search(name));
      if (kills < 10) {
        std::this_thread::sleep_for(
            std::chrono::duration<double>(moment(random)));
        ::kill(child, SIGKILL);
      }
      const auto outcome = program_.finish(child);
      ASSERT_TRUE(outcome.code == 0 || outcome.code == -1) << outcome.error;
      over = outcome.code == 0;
      kills += over ? 0 : 1;
      if (std::filesystem::exists(folder_ / (name + "/config.json"))) {
        EXPECT_GE(history(name).size(), before);
      }
    }
    EXPECT_EQ(history(name), history("whole"));
  }
}

TEST_F(AppEvolve, NamesAModelThatTrainingTakes) {
  const auto found = program_(search("run", {"--model", "terms=8"}));
  ASSERT_EQ(found.code, 0) << found.error;
  EXPECT_TRUE(found.says(" (2)")) << found.out;
  EXPECT_TRUE(found.says(", the reference")) << found.out;
  const auto from = found.out.find("--model \"") + 9;
  const auto model = found.out.substr(from, found.out.find('"', from) - from);
  EXPECT_NE(model.find("wavelet=lattice("), std::string::npos);
  EXPECT_NE(model.find("filters=fixed"), std::string::npos);
  EXPECT_NE(model.find("terms=8"), std::string::npos);
  const auto trained = program_(tiny(
      {"--data",
       text_,
       "--out",
       folder_ / "train",
       "--attention",
       "0.5",
       "--steps",
       "2",
       "--model",
       model}));
  EXPECT_EQ(trained.code, 0) << trained.error;
  const auto config = json::parse(folder_.read("train/config.json"));
  EXPECT_NE(
      model.find("wavelet=" + config["model"]["wavelet"].get<std::string>()),
      std::string::npos);
}

TEST_F(AppEvolve, BeginsWithTheWaveletThatIsGiven) {
  ASSERT_EQ(
      program_(search(
                   "run",
                   {"--search",
                    "random",
                    "--places",
                    "fourier,feed_forward",
                    "--model",
                    "wavelet=db3;coif1,levels=2,filters=lattice"}))
          .code,
      0);
  const auto trials = history("run");
  EXPECT_EQ(trials.at(0)["basis"]["family"], "db3;coif1");
  EXPECT_EQ(trials.at(0)["basis"]["places"], "fourier,feed_forward");
  EXPECT_EQ(trials.at(0)["basis"]["angles"].size(), 2u);
  std::set<std::string> families;
  for (const auto& [number, trial] : trials) {
    families.insert(trial["basis"]["family"].get<std::string>());
    EXPECT_TRUE(trial["parents"].empty());
  }
  EXPECT_EQ(families, (std::set<std::string>{"db3;coif1", "random"}));
}

TEST_F(AppEvolve, HoldsPlacesAndLevels) {
  for (const auto* search : {"evolve", "random"}) {
    const std::string run = std::string("held-") + search;
    const Words held{
        "--search", search, "--hold", "places,levels", "--population", "6"};
    ASSERT_EQ(program_(this->search(run, held)).code, 0);
    std::set<std::string> angles;
    for (const auto& [number, trial] : history(run)) {
      EXPECT_EQ(trial["basis"]["places"], "attention,fourier");
      EXPECT_EQ(trial["basis"]["angles"].size(), 3u);
      angles.insert(trial["basis"]["angles"].dump());
    }
    EXPECT_EQ(angles.size(), 12u) << search;
  }
}

TEST_F(AppEvolve, HoldsItsFolder) {
  const auto child =
      program_.start(search("run", {"--steps", "100"}), folder_ / "first");
  while (!std::filesystem::exists(folder_ / "run/history.jsonl")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::kill(child, SIGSTOP);
  const auto second = program_(resume("run"));
  ::kill(child, SIGCONT);
  EXPECT_EQ(program_.finish(child).code, 0);
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.error.find("is being written by"), std::string::npos)
      << second.error;
  expect_refused(search("run"), "already holds a run");
}

TEST_F(AppEvolve, RefusesWhatWouldNotMatter) {
  expect_refused(
      search("run", {"--attention", "0", "--places", "attention"}),
      "has only fourier,feed_forward: genomes would not matter elsewhere");
  expect_refused(
      search("run", {"--attention", "1", "--model", "attention=frequency"}),
      "no genome would matter");
  expect_refused(
      search("run", {"--model", "fourier_filter=wavelet"}),
      "--model fourier_filter=wavelet: evolve decides where");
  expect_refused(
      search("run", {"--model", "wavelet=bior2.2"}), "not orthogonal");
  expect_refused(
      search("run", {"--model", "wavelet=db6", "--max-stages", "4"}),
      "above --max-stages 4");
  expect_refused(search("run", {"--keep", "3"}), "--keep");
  expect_refused(search("run", {"--search", "anneal"}), "evolve and random");
  expect_refused(search("run", {"--rungs", "4"}), "--rungs is 4");
  expect_refused(search("run", {"--population", "1"}), "population is 1");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(AppEvolve, RefusesAnotherSearchInItsFolder) {
  expect_refused(
      {"evolve", "--resume", folder_ / "none"}, "no such run folder");
  folder_.write("train/config.json", "{}");
  expect_refused({"evolve", "--resume", folder_ / "train"}, "no search.json");
  ASSERT_EQ(program_(search("run", {"--seeds", "1"})).code, 0);
  expect_refused(resume("run", {"--dim", "32"}), "is 16 and cannot become 32");
  expect_refused(
      resume("run", {"--population", "9"}), "is 4 and cannot become 9");
  expect_refused(
      {"evolve", "--resume", folder_ / "run", "--generations", "0"},
      "--generations is 0; at least 1");
  // Half a line, as a kill leaves it, is nothing; other damage is named.
  const auto lines = folder_.read("run/history.jsonl");
  folder_.write("run/history.jsonl", lines + "{\"trial\": 99");
  EXPECT_EQ(program_(resume("run")).code, 0);
  EXPECT_EQ(folder_.read("run/history.jsonl"), lines);
  folder_.write("run/history.jsonl", "{}\n" + lines);
  expect_refused(resume("run"), "line 1 is damaged");
}

} // namespace
} // namespace signalllm
