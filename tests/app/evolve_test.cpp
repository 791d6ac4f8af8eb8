#include "app/program.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace signalllm {
namespace {

using nlohmann::json;

struct AppEvolve : testing::Test {
  void SetUp() override {
    if (Program::path().empty()) {
      GTEST_SKIP() << "the program was not built";
    }
    std::string text;
    for (int line = 0; line < 200; ++line) {
      text += "line " + std::to_string(line % 17) + " of a small text\n";
    }
    text_ = folder_.write("text.txt", text);
  }

  /// A search that is as small as can be.
  Outcome start(const std::string& run, const std::string& generations) const {
    return program_({"evolve", "--data",        text_,      "--out",
                     run,      "--dim",         "16",       "--layers",
                     "1",      "--heads",       "2",        "--context",
                     "16",     "--batch",       "2",        "--threads",
                     "1",      "--steps",       "3",        "--warmup",
                     "1",      "--attention",   "1",        "--population",
                     "3",      "--generations", generations});
  }

  json history(const std::string& run) const {
    return json::parse(folder_.read(run + "/evolution.json"))["history"];
  }

  TemporaryFolder folder_;
  Program program_{folder_.path()};
  std::string text_;
};

TEST_F(AppEvolve, GoesOnAsIfItHadNeverStopped) {
  ASSERT_EQ(start(folder_ / "whole", "3").code, 0);
  ASSERT_EQ(start(folder_ / "parts", "2").code, 0);
  const auto resumed =
      program_({"evolve", "--resume", folder_ / "parts", "--generations", "3"});
  ASSERT_EQ(resumed.code, 0) << resumed.error;
  const auto whole = history("whole");
  const auto parts = history("parts");
  ASSERT_EQ(whole.size(), 9u);
  ASSERT_EQ(parts.size(), 9u);
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(parts[i]["basis"], whole[i]["basis"]) << i;
    EXPECT_EQ(parts[i]["loss"], whole[i]["loss"]) << i;
  }
  // The genomes matter: not all come to the same loss.
  EXPECT_NE(whole[0]["loss"], whole[1]["loss"]);
}

TEST_F(AppEvolve, NamesAWaveletThatTrainingTakes) {
  const auto found = start(folder_ / "run", "1");
  ASSERT_EQ(found.code, 0) << found.error;
  const auto from = found.out.find("--model \"") + 9;
  const auto model = found.out.substr(from, found.out.find('"', from) - from);
  EXPECT_EQ(model.substr(0, 16), "wavelet=lattice(");
  const auto trained = program_(
      {"train",     "--data",    text_,      "--out",   folder_ / "train",
       "--dim",     "16",        "--layers", "1",       "--heads",
       "2",         "--context", "16",       "--batch", "2",
       "--threads", "1",         "--steps",  "2",       "--model",
       model});
  EXPECT_EQ(trained.code, 0) << trained.error;
  const auto config = json::parse(folder_.read("train/config.json"));
  EXPECT_EQ(
      "wavelet=" + config["model"]["wavelet"].get<std::string>(),
      model.substr(0, model.find(',')));
}

TEST_F(AppEvolve, SaysWhatIsWrong) {
  const auto none = start(folder_ / "run", "0");
  EXPECT_EQ(none.code, 1);
  EXPECT_TRUE(none.complains("--generations is 0; at least 1")) << none.error;
  folder_.write("run/config.json", "{}");
  const auto damaged = program_({"evolve", "--resume", folder_ / "run"});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_TRUE(damaged.complains("damaged")) << damaged.error;
}

} // namespace
} // namespace signalllm
