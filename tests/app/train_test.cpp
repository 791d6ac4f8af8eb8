// signalllm train: what a run writes, says and refuses.

#include "app/program_test_base.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace signalllm {
namespace {

using nlohmann::json;

class AppTrain : public ProgramTest {};

TEST_F(AppTrain, TrainsScoresAndWrites) {
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

TEST_F(AppTrain, RefusesWhatTheMachineCannotDo) {
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

TEST_F(AppTrain, SaysHowFastItIs) {
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

TEST_F(AppTrain, PatienceEndsARunThatSaysSo) {
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

TEST_F(AppTrain, ALossThatIsNoNumberIsTriedAgainSoOften) {
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

} // namespace
} // namespace signalllm
