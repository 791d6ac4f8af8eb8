// The program as its users meet it: every test starts the built executable.

#include "app/program.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace signalllm {
namespace {

using nlohmann::json;

class App : public testing::Test {
 protected:
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

  /// `train` of a model that is as small as can be.
  std::vector<std::string> tiny(std::vector<std::string> more) const {
    std::vector<std::string> words{
        "train",
        "--dim",
        "16",
        "--layers",
        "1",
        "--heads",
        "2",
        "--context",
        "16",
        "--batch",
        "2",
        "--threads",
        "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  TemporaryFolder folder_;
  Program program_{folder_.path()};
  std::string text_;
};

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

TEST_F(App, TrainsScoresAndWrites) {
  const auto run = folder_ / "run";
  const auto trained = program_(tiny(
      {"--data", text_, "--out", run, "--steps", "6", "--tokenizer", "chars"}));
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(trained.says("step 6/6")) << trained.out;
  EXPECT_TRUE(trained.says("held out")) << trained.out;
  for (const auto* name :
       {"config.json",
        "config.toml",
        "tokenizer.json",
        "log.jsonl",
        "checkpoint-00000006/model.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(run + "/" + name)) << name;
  }

  const auto scored = program_({"eval", "--run", run, "--json"});
  ASSERT_EQ(scored.code, 0) << scored.error;
  const auto result = json::parse(scored.out);
  EXPECT_EQ(result["step"], 6);
  EXPECT_EQ(result["tokens"], result["windows"].get<int>() * 16);
  EXPECT_GT(result["loss"], 0);
  // What training itself said about the same text.
  const auto log = folder_.read("run/log.jsonl");
  const auto last = json::parse(log.substr(log.rfind('{')));
  EXPECT_NEAR(last["valid_loss"], result["loss"].get<double>(), 1e-4);

  const std::vector<std::string> write{
      "generate",
      "--run",
      run,
      "--prompt",
      "line",
      "--tokens",
      "20",
      "--seed",
      "3"};
  const auto written = program_(write);
  ASSERT_EQ(written.code, 0) << written.error;
  EXPECT_EQ(written.out.substr(0, 4), "line");
  EXPECT_EQ(written.out.size(), 4U + 20U + 1U);
  EXPECT_EQ(program_(write).out, written.out); // the same seed

  const auto unknown =
      program_({"generate", "--run", run, "--prompt", "\u20ac"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_TRUE(unknown.complains("U+20AC")) << unknown.error;
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

TEST_F(App, TextMayMoveButNotChange) {
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

TEST_F(App, RefusesWhatTheMachineCannotDo) {
  const auto run = folder_ / "run";
  auto words = tiny({"--data", text_, "--out", run, "--steps", "2"});
  const auto with = [&](const std::string& name, const std::string& value) {
    auto changed = words;
    const auto found = std::find(changed.begin(), changed.end(), name);
    *(found + 1) = value;
    return program_(changed);
  };
  const auto threads = with("--threads", "100000");
  EXPECT_EQ(threads.code, 1);
  EXPECT_TRUE(threads.complains("--threads is 100000, but there are"))
      << threads.error;
  const auto batch = with("--batch", "100000000000");
  EXPECT_EQ(batch.code, 1);
  EXPECT_TRUE(batch.complains("--batch 100000000000 of --context 16 needs"))
      << batch.error;
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST_F(App, ResumesToTheSameWeights) {
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

  const auto again = program_({"train", "--resume", half});
  EXPECT_EQ(again.code, 1);
  EXPECT_TRUE(again.complains("--steps")) << again.error;
  const auto changed =
      program_({"train", "--resume", half, "--dim", "32", "--steps", "9"});
  EXPECT_EQ(changed.code, 1);
  EXPECT_TRUE(changed.complains("--dim")) << changed.error;
}

TEST_F(App, CtrlCLeavesACheckpoint) {
  const auto run = folder_ / "run";
  const auto child = program_.start(tiny(
      {"--data",
       text_,
       "--out",
       run,
       "--steps",
       "1000000",
       "--report-every",
       "1"}));
  for (int i = 0; i < 600 && folder_.read("run/log.jsonl").empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ::kill(child, SIGINT);
  const auto stopped = program_.finish(child);
  EXPECT_EQ(stopped.code, 130);
  EXPECT_TRUE(stopped.complains("--resume " + run)) << stopped.error;
  EXPECT_EQ(program_({"eval", "--run", run}).code, 0);
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
  for (const auto* command : {"demo", "train", "eval", "generate", "version"}) {
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
