#include <signalllm/training/checkpoint.h>

#include "messages.h"
#include "temporary_folder.h"
#include "training/small_model.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace signalllm::training {
namespace {

namespace fs = std::filesystem;

Checkpoint checkpoint_at(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.model["weight"] = torch::full({2, 2}, step);
  checkpoint.optimizer["moment"] = torch::full({3}, step);
  checkpoint.state = R"({"rows": 12})";
  return checkpoint;
}

TEST(Checkpoint, RoundTripAndKeepingTheNewest) {
  const TemporaryFolder folder;
  const RunFolder run(folder / "run");
  run.create();
  run.write_text("config.json", "{}");
  for (const int64_t step : {5, 10, 100}) {
    run.save(checkpoint_at(step), 2);
  }
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{10, 100}));
  const auto loaded = run.load_latest();
  EXPECT_EQ(loaded.step, 100);
  EXPECT_EQ(loaded.state, R"({"rows":12})");
  EXPECT_TRUE(loaded.model.at("weight").equal(torch::full({2, 2}, 100)));
  EXPECT_TRUE(loaded.optimizer.at("moment").equal(torch::full({3}, 100)));
  EXPECT_TRUE(loaded.average.empty());
  EXPECT_EQ(run.load(10).step, 10);
  run.save(checkpoint_at(100), 2); // the same step again
  EXPECT_EQ(run.load_latest().step, 100);
}

TEST(Checkpoint, DamageIsFoundAndTheOneBeforeTaken) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  run.save(checkpoint_at(1), 0);
  run.save(checkpoint_at(2), 0);
  for (const std::string name :
       {"state.json", "model.safetensors", "optimizer.safetensors"}) {
    const auto path = "checkpoint-00000002/" + name;
    const auto whole = folder.read(path);
    for (const std::size_t place : {whole.size() / 2, whole.size() - 3}) {
      auto damaged = whole;
      damaged[place] = static_cast<char>(damaged[place] ^ 1);
      folder.write(path, damaged);
      std::vector<std::string> problems;
      EXPECT_EQ(run.load_latest(&problems).step, 1) << path;
      ASSERT_EQ(problems.size(), 1U);
      EXPECT_NE(problems[0].find(name), std::string::npos) << problems[0];
    }
    folder.write(path, whole);
    EXPECT_EQ(run.load_latest().step, 2);
  }
}

TEST(Checkpoint, WhatAKilledRunLeavesIsNoCheckpoint) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  run.save(checkpoint_at(1));
  folder.write("tmp-checkpoint-00000002/model.safetensors", "half");
  folder.write("checkpoint-x/model.safetensors", "no");
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{1}));
  EXPECT_EQ(run.load_latest().step, 1);
  run.save(checkpoint_at(3));
  EXPECT_FALSE(fs::exists(folder / "tmp-checkpoint-00000002"));
}

TEST(Checkpoint, FoldersThatDoNotFit) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  EXPECT_NE(
      message_of([&] {
        RunFolder(folder / "no").load_latest();
      }).find("no such run folder"),
      std::string::npos);
  EXPECT_NE(
      message_of([&] { run.load_latest(); }).find("config.json"),
      std::string::npos);
  run.write_text("config.json", "{}");
  EXPECT_NE(
      message_of([&] { run.load_latest(); }).find("no checkpoint yet"),
      std::string::npos);
  run.save(checkpoint_at(1));
  EXPECT_NE(
      message_of([&] { run.create(); }).find("--resume"), std::string::npos);
}

TEST(Checkpoint, ARunWithNothingToLoseMakesRoom) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  const std::vector<std::string> names{
      "config.json", "log.jsonl", "tokenizer.json", "config.json.tmp-7"};
  for (const auto& name : names) {
    folder.write(name, "{}");
  }
  folder.write("tmp-checkpoint-00000002/model.safetensors", "half");
  run.create();
  EXPECT_FALSE(fs::exists(folder / "config.json"));
  EXPECT_FALSE(fs::exists(folder / "log.jsonl"));
  EXPECT_NE(
      message_of([&] { run.reopen(); }).find("--out starts it again"),
      std::string::npos);
  // A file that is of another kind of run, or somebody's.
  folder.write("config.json", "{}");
  folder.write("evolution.json", "{}");
  EXPECT_NE(
      message_of([&] { run.create(); }).find("--resume"), std::string::npos);
}

TEST(Checkpoint, DamagedOnesOfAFutureDoNotCount) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  for (const int64_t step : {1, 8, 9}) {
    run.save(checkpoint_at(step), 0);
  }
  folder.write("checkpoint-00000008/state.json", "");
  folder.write("checkpoint-00000009/state.json", "");
  run.save(checkpoint_at(2), 2);
  EXPECT_EQ(run.load_latest().step, 2);
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{1, 2, 8, 9}));
  run.discard_after(1);
  EXPECT_EQ(run.checkpoints(), (std::vector<int64_t>{1}));
}

TEST(Checkpoint, ModulesRefuseTensorsThatDoNotFit) {
  SmallModel model(11), other(12);
  const auto message = [&](TensorMap tensors) {
    return message_of([&] { load_module(*model, tensors); });
  };
  EXPECT_EQ(message(module_tensors(*model)), "");
  EXPECT_NE(message(module_tensors(*other)).find("shape"), std::string::npos);
  auto tensors = module_tensors(*model);
  tensors["extra"] = torch::ones({1});
  EXPECT_NE(message(tensors).find("'extra'"), std::string::npos);
  tensors = module_tensors(*model);
  tensors.erase("head.bias");
  EXPECT_NE(message(tensors).find("'head.bias'"), std::string::npos);
}

TEST(Checkpoint, TheLogForgetsWhatComesAgain) {
  const TemporaryFolder folder;
  folder.write(
      "log.jsonl",
      "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n{\"step\": 4, \"lo");
  RunFolder(folder.path()).truncate_log(2);
  EXPECT_EQ(folder.read("log.jsonl"), "{\"step\": 1}\n{\"step\": 2}\n");
}

} // namespace
} // namespace signalllm::training
