// The program as its users meet it: commands, settings, what it reads.

#include "app/program_test_base.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>

namespace signalllm {
namespace {

using nlohmann::json;

class App : public ProgramTest {};

TEST_F(App, BenchesRecall) {
  const std::vector<std::string> words{"bench",      "recall",
                                       "--length",   "32",
                                       "--pairs",    "2",
                                       "--vocab",    "16",
                                       "--dim",      "16",
                                       "--heads",    "2",
                                       "--window",   "4",
                                       "--steps",    "20",
                                       "--batch",    "8",
                                       "--tests",    "40",
                                       "--threads",  "1",
                                       "--device",   "cpu",
                                       "--score",    "16:0 0:0 4:0 4:2",
                                       "--generate", "8 24"};
  auto as_json = words;
  as_json.push_back("--json");
  const auto result = program_(as_json);
  ASSERT_EQ(result.code, 0) << result.error;
  const auto rows = json::parse(result.out)["results"];
  ASSERT_EQ(rows.size(), 4u);
  // Up to two windows the long form is the dense one.
  EXPECT_EQ(rows[0]["recall"], rows[1]["recall"]);
  const auto bytes = [&](int row) {
    return rows[row]["generation"][1]["attention_bytes"].get<int64_t>();
  };
  EXPECT_LT(bytes(2), bytes(3)); // opening keeps every key
  const auto printed = program_(words);
  EXPECT_TRUE(printed.says("mqar of length 32")) << printed.out;
  const auto copied =
      program_({"bench",    "recall", "--task",  "copying", "--length",  "30",
                "--dim",    "16",     "--heads", "2",       "--steps",   "2",
                "--batch",  "4",      "--tests", "4",       "--threads", "1",
                "--device", "cpu",    "--score", "4:0"});
  EXPECT_TRUE(copied.says("copying of length 30")) << copied.error;
  EXPECT_TRUE(program_({"bench", "recal"}).complains("did you mean 'recall'?"));
  EXPECT_TRUE(program_({"bench", "recall", "--score", "64"})
                  .complains("--score wants WINDOW:OPENED"));
}

TEST_F(App, ReadsPipes) {
  const auto run = folder_ / "run";
  const auto through = [&](const std::string& text,
                           std::vector<std::string> words) {
    folder_.write("piped", text);
    words.insert(
        words.begin(), {"-c", "file=$1; shift; cat \"$file\" | \"$@\"", "sh"});
    words.insert(words.begin() + 3, {folder_ / "piped", Program::path()});
    return program_.finish(program_.start(words, "", "/bin/sh"));
  };
  const auto trained = through(
      folder_.read("text.txt"),
      tiny({"--data", "/dev/stdin", "--out", run, "--steps", "2"}));
  ASSERT_EQ(trained.code, 0) << trained.error;
  // The same text from where it lies.
  const auto resumed =
      program_({"train", "--resume", run, "--data", text_, "--steps", "3"});
  EXPECT_EQ(resumed.code, 0) << resumed.error;
  const auto written = through(
      "\xEF\xBB\xBFline",
      {"generate",
       "--run",
       run,
       "--prompt",
       "-",
       "--tokens",
       "3",
       "--temperature",
       "0"});
  ASSERT_EQ(written.code, 0) << written.error;
  EXPECT_EQ(written.out.substr(0, 4), "line");
  EXPECT_TRUE(through("", {"generate", "--run", run, "--prompt", "-"})
                  .complains("standard input, which is empty"));
  const auto substituted = program_.finish(program_.start(
      {"-c",
       "text=$1; shift; exec \"$@\" --data <(cat \"$text\")",
       "bash",
       text_,
       Program::path(),
       "train",
       "--resume",
       run,
       "--steps",
       "4"},
      "",
      "/bin/bash"));
  EXPECT_EQ(substituted.code, 0) << substituted.error;
  const auto demo = through("text", {"demo", "--data", "/dev/stdin"});
  EXPECT_TRUE(demo.complains("is a pipe")) << demo.error;
}

TEST_F(App, PassesOverByteOrderMarks) {
  const auto config = folder_.write(
      "marked.toml", "\xEF\xBB\xBFsteps = 2\ntokenizer = \"chars\"\n");
  const auto marked =
      folder_.write("marked.txt", "\xEF\xBB\xBF" + folder_.read("text.txt"));
  const auto run = folder_ / "run";
  const auto trained =
      program_(tiny({"--config", config, "--data", marked, "--out", run}));
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(trained.says("step 2/2")) << trained.out;
  // The mark is no part of the text.
  const auto resumed =
      program_({"train", "--resume", run, "--data", text_, "--steps", "3"});
  EXPECT_EQ(resumed.code, 0) << resumed.error;
}

TEST_F(App, SettingsComeFromFilesAndTheEnvironment) {
  const auto file = folder_.write(
      "run.toml",
      "steps = 3\n[train]\ndim = 16\nvalid_fraction = 0.2\n"
      "[generate]\ntokens = 5\n");
  ::setenv("SIGNALLLM_LAYERS", "1", 1);
  ::setenv("SIGNALLLM_STEPS", "7", 1);
  const auto trained = program_(
      {"train",
       "--config",
       file,
       "--heads",
       "2",
       "--context",
       "16",
       "--data",
       text_,
       "--out",
       folder_ / "run"});
  ::unsetenv("SIGNALLLM_LAYERS");
  ::unsetenv("SIGNALLLM_STEPS");
  ASSERT_EQ(trained.code, 0) << trained.error;
  const auto settings =
      json::parse(folder_.read("run/config.json"))["settings"];
  EXPECT_EQ(settings["steps"], 3);
  EXPECT_EQ(settings["dim"], 16);
  EXPECT_EQ(settings["layers"], 1);
  EXPECT_EQ(settings["heads"], 2);
  EXPECT_EQ(settings["valid-fraction"], 0.2);
  // What was effective can be fed back and gives the same.
  const auto again = program_(
      {"train",
       "--config",
       folder_ / "run/config.toml",
       "--out",
       folder_ / "again"});
  ASSERT_EQ(again.code, 0) << again.error;
  EXPECT_EQ(folder_.read("run/config.json"), folder_.read("again/config.json"));

  const auto typo = program_(
      {"train", "--config", folder_.write("typo.toml", "contxt = 3\n")});
  EXPECT_EQ(typo.code, 2);
  EXPECT_TRUE(typo.complains("did you mean 'context'")) << typo.error;
  const auto missing = program_({"train", "--config", folder_ / "no.toml"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_TRUE(missing.complains("no.toml")) << missing.error;
}

TEST_F(App, WrongInputIsOneClearLine) {
  const auto fails =
      [&](std::vector<std::string> words, int code, const std::string& part) {
        const auto outcome = program_(words);
        EXPECT_EQ(outcome.code, code) << part;
        EXPECT_TRUE(outcome.complains(part)) << outcome.error;
      };
  const auto out = folder_ / "run";
  fails({"trian"}, 2, "did you mean 'train'");
  fails({"train", "--stepz", "3"}, 2, "did you mean 'steps'");
  fails({"train", "--steps", "many"}, 2, "steps");
  fails({"train"}, 1, "--data");
  fails({"train", "--data", folder_ / "no.txt"}, 1, "no such file");
  fails({"train", "--data", folder_.write("empty", "")}, 1, "is empty");
  fails({"train", "--data", folder_.write("a.xz", "x")}, 1, "xz -dk");
  fails(tiny({"--data", text_, "--out", out, "--steps", "0"}), 1, "--steps");
  fails(
      tiny({"--data", text_, "--out", out, "--schedule", "cubic"}),
      1,
      "cosine");
  fails(
      tiny({"--data", text_, "--out", out, "--model", "wavelt=db2"}),
      1,
      "wavelet");
  fails(
      tiny({"--data", text_, "--out", out, "--max-bytes", "100"}),
      1,
      "held-out text has 10 tokens");
  fails(
      tiny({"--data", text_, "--out", out, "--device", "tpu"}), 1, "--device");
  EXPECT_FALSE(std::filesystem::exists(out)); // nothing was written
  fails({"eval", "--run", folder_ / "no"}, 1, "no such run");
  fails({"generate", "--run", folder_.path()}, 1, "config.json");
}

TEST_F(App, HelpNamesEveryCommandAndOption) {
  EXPECT_EQ(program_({}).code, 2);
  const auto help = program_({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const auto* command :
       {"demo", "train", "tokenize", "eval", "generate", "version"}) {
    EXPECT_TRUE(help.says(command));
  }
  const auto train = program_({"train", "--help"});
  EXPECT_EQ(train.code, 0);
  for (const auto* option :
       {"--data", "--context", "--lr", "--resume", "--config", "Examples"}) {
    EXPECT_TRUE(train.says(option)) << option;
  }
  EXPECT_TRUE(program_({"version"}).says("torch 2."));
}

TEST_F(App, DemoOnATextOfOnesOwn) {
  const auto demo = program_(
      {"demo",
       "--data",
       text_,
       "--steps",
       "3",
       "--tokens",
       "10",
       "--out",
       folder_ / "demo",
       "--threads",
       "1"});
  ASSERT_EQ(demo.code, 0) << demo.error;
  for (const auto* part :
       {"gzip -9", "xz -9", "this model", "a sample", "picture", "next:"}) {
    EXPECT_TRUE(demo.says(part)) << part << " in " << demo.out;
  }
}

} // namespace
} // namespace signalllm
