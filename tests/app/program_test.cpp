// The program as its users meet it: every test starts the built executable.

#include "app/program.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <sstream>
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

  const auto greedy = [&](std::vector<std::string> words) {
    words.insert(
        words.begin(),
        {"generate", "--run", run, "--tokens", "5", "--temperature", "0"});
    const auto result = program_(words);
    EXPECT_EQ(result.code, 0) << result.error;
    return result.out;
  };
  folder_.write("prompts.txt", "\xEF\xBB\xBFline\r\n\na l\n");
  const auto first = greedy({"--prompt", "line"});
  const auto second = greedy({"--prompt", "a l"});
  EXPECT_EQ(
      greedy({"--prompts", folder_ / "prompts.txt", "--samples", "2"}),
      "==> 1 <==\n" + first + "\n==> 2 <==\n" + first + "\n==> 3 <==\n" +
          second + "\n==> 4 <==\n" + second);

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
  EXPECT_TRUE(threads.complains("--threads is 100000, but this machine"))
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

  for (const auto& words :
       {std::vector<std::string>{"train", "--resume", half},
        options(half, "8")}) { // the same command again
    const auto again = program_(words);
    EXPECT_EQ(again.code, 0) << again.error;
    EXPECT_TRUE(again.says("has done its 8 steps")) << again.out;
  }
}

TEST_F(App, AWsdRunMayBecomeLonger) {
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

TEST_F(App, SaysHowFastItIs) {
  const auto run = folder_ / "run";
  const auto words =
      tiny({"--data", text_, "--out", run, "--device", "cpu", "--steps", "4"});
  const auto plain = program_(words);
  ASSERT_EQ(plain.code, 0) << plain.error;
  EXPECT_TRUE(plain.says(" ms/step, ")) << plain.out;
  EXPECT_TRUE(plain.says("FLOP/s")) << plain.out;
  EXPECT_FALSE(plain.says("MFU")) << plain.out;
  const auto judged = program_(
      {"train", "--resume", run, "--steps", "8", "--peak-tflops", "1e-6"});
  ASSERT_EQ(judged.code, 0) << judged.error;
  EXPECT_TRUE(judged.says("% MFU")) << judged.out;
  std::istringstream log(folder_.read("run/log.jsonl"));
  for (std::string text; std::getline(log, text);) {
    const auto line = nlohmann::json::parse(text);
    if (!line.contains("loss")) {
      continue;
    }
    // A step is 32 tokens.
    const double speed = line["tokens_per_second"];
    EXPECT_NEAR(32e3 / speed / line["step_ms"].get<double>(), 1, 0.02) << text;
    EXPECT_EQ(line.contains("mfu"), line["step"] == 8) << text;
    if (line.contains("mfu")) {
      EXPECT_NEAR(
          line["tflops"].get<double>() * 1e6 / line["mfu"].get<double>(),
          1,
          1e-4)
          << text;
    }
  }
}

TEST_F(App, PatienceEndsARunThatSaysSo) {
  const auto run = folder_ / "run";
  const auto words = tiny(
      {"--data",
       text_,
       "--out",
       run,
       "--steps",
       "100",
       "--lr",
       "0",
       "--min-lr",
       "0",
       "--evaluate-every",
       "2",
       "--patience",
       "3"});
  const auto outcome = program_(words);
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_TRUE(outcome.says(
      "ended at step 8 (--patience 3): 3 held-out losses since step 2 were "
      "not below its "))
      << outcome.out;
  const auto score = program_({"eval", "--run", run, "--json"});
  ASSERT_EQ(score.code, 0) << score.error;
  EXPECT_EQ(nlohmann::json::parse(score.out)["step"], 2); // the best
  for (const auto& again :
       {words, std::vector<std::string>{"train", "--resume", run}}) {
    const auto done = program_(again);
    EXPECT_EQ(done.code, 0) << done.error;
    EXPECT_TRUE(done.says("ended at step 8 (--patience 3)")) << done.out;
    EXPECT_TRUE(done.says("a larger --patience goes on")) << done.out;
    EXPECT_FALSE(done.says("step 9")) << done.out;
  }
  const auto longer = program_({"train", "--resume", run, "--patience", "4"});
  EXPECT_TRUE(longer.says("ended at step 10 (--patience 4)")) << longer.out;
  const auto whole =
      program_({"train", "--resume", run, "--patience", "0", "--steps", "12"});
  EXPECT_EQ(whole.code, 0) << whole.error;
  EXPECT_TRUE(std::filesystem::exists(run + "/checkpoint-00000012"));
}

TEST_F(App, ARefusedResumeChangesNothing) {
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

TEST_F(App, ARunKilledBeforeItsFirstCheckpointStartsAgain) {
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
    for (int i = 0; i < 600 && folder_.read("killed/log.jsonl").empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
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

TEST_F(App, ALossThatIsNoNumberIsTriedAgainSoOften) {
  const auto run = folder_ / "run";
  const auto failed = program_(tiny(
      {"--data",
       text_,
       "--out",
       run,
       "--steps",
       "50",
       "--lr",
       "1e4",
       "--clip",
       "0",
       "--rollbacks",
       "2",
       "--warmup",
       "0",
       "--evaluate-every",
       "0"}));
  EXPECT_EQ(failed.code, 1);
  EXPECT_TRUE(failed.complains("after 2 roll-backs")) << failed.error;
  EXPECT_TRUE(failed.says("roll-back 2 of 2")) << failed.out;
  EXPECT_NE(
      folder_.read("run/log.jsonl").find("\"rollback\":2"), std::string::npos);
  const auto better = program_({"train", "--resume", run, "--lr", "1e-3"});
  EXPECT_EQ(better.code, 0) << better.error;
}

TEST_F(App, ASignalLeavesACheckpoint) {
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
    for (int i = 0; i < 600 && folder_.read(name + "/log.jsonl").empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::kill(child, signal);
    const auto stopped = program_.finish(child);
    EXPECT_EQ(stopped.code, 128 + signal);
    EXPECT_TRUE(stopped.complains("--resume " + run)) << stopped.error;
    EXPECT_EQ(program_({"eval", "--run", run}).code, 0);
  }
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
