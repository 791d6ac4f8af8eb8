// Wrong inputs of the program, each a run of the built executable.

#include "errors/machine.h"
#include "errors/refused_program.h"

#include <signalllm/training/checkpoint.h>

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <limits>

namespace signalllm::test {
namespace {

namespace fs = std::filesystem;

class ProgramErrors : public RefusedProgram {};

TEST_F(ProgramErrors, Options) {
  const std::string tiny =
      "train --data %/book.txt --out %/run --dim 16 --heads 2 --context 16 ";
  folder_.write("empty.txt", "");
  folder_.write("typo.toml", "contxt = 3\n");
  folder_.write("value.toml", "steps = \"many\"\n");
  folder_.write("garbage.toml", "\x01\x02 = = [\n");
  folder_.write("python/matplotlib.py", "raise ImportError(name=__name__)\n");
  const auto without_matplotlib = [&] {
    auto wrong = refused(
        "a Python that cannot draw",
        "visualize --out %/drawn",
        {"matplotlib", "not installed", "pip install"});
    wrong.complaint = [this, inner = wrong.complaint] {
      const auto path = folder_ / "python";
      ::setenv("PYTHONPATH", path.c_str(), 1);
      auto complaint = inner();
      ::unsetenv("PYTHONPATH");
      return complaint;
    };
    return wrong;
  };
  folder_.write("twice.toml", "steps = 3\nsteps = 4\n");
  expect_refused(
      "options",
      {
          refused(
              "an option given twice",
              "train --steps 3 --steps 4",
              {"train", "--steps", "2 times", "once"},
              2),
          refused(
              "a key given twice in the configuration",
              "train --config %/twice.toml",
              {"train", "'steps'", "twice"},
              2),
          refused(
              "an option of the model given twice",
              tiny + "--model levels=2,levels=3",
              {"--model", "'levels'", "twice"}),
          refused(
              "a negative seed",
              tiny + "--seed -1",
              {"train", "--seed", "-1", "at least 0"},
              2),
          refused(
              "Ricker positions with the wavelet attention",
              tiny + "--model ricker=true",
              {"ricker", "true", "attention=wavelet", "attention=frequency"}),
          refused(
              "a window with the frequency attention",
              tiny + "--model attention=frequency,window=8",
              {"window", "8", "attention=frequency", "attention=wavelet"}),
          refused(
              "opened nodes with the frequency attention",
              tiny + "--model attention=frequency,opened=2",
              {"opened", "2", "attention=frequency", "attention=wavelet"}),
          refused(
              "the wavelet attention's filter with the frequency attention",
              tiny + "--model attention=frequency,attention_filter=none",
              {"attention_filter", "none", "attention=frequency"}),
          refused(
              "a negative seed that is not -1",
              "generate --run %/run --seed -2",
              {"--seed", "-2", "at least 0, or -1"}),
          refused(
              "an unknown command",
              "trian",
              {"command", "'trian'", "'train'", "--help"},
              2),
          refused(
              "an unknown option",
              "train --stepz 3",
              {"train", "--stepz", "'steps'"},
              2),
          refused("no value", "train --steps", {"train", "--steps"}, 2),
          refused(
              "a word for a number",
              "train --steps many",
              {"train", "--steps", "many"},
              2),
          refused("a stray word", "train book.txt", {"train", "book.txt"}, 2),
          refused("no text", "train", {"--data", "file or folder"}),
          refused(
              "a missing text",
              "train --data %/no.txt",
              {"no such file", "FOLDER/no.txt"}),
          refused(
              "an empty text",
              "train --data %/empty.txt",
              {"FOLDER/empty.txt", "empty"}),
          refused(
              "no steps", tiny + "--steps 0", {"--steps", "0", "at least 1"}),
          refused(
              "no batch", tiny + "--batch 0", {"--batch", "0", "at least 1"}),
          refused(
              "a negative rate",
              tiny + "--lr -1",
              {"--lr", "-1", "at least 0"}),
          refused(
              "a rate that is no number",
              tiny + "--lr nan",
              {"--lr", "nan", "at least 0"}),
          refused(
              "a negative number of roll-backs",
              tiny + "--rollbacks -1",
              {"--rollbacks", "-1", "at least 0"}),
          refused(
              "a divergence below the usual",
              tiny + "--divergence 0.5",
              {"--divergence", "0.5", "above 1"}),
          refused(
              "an unknown schedule",
              tiny + "--schedule cubic",
              {"--schedule", "'cubic'", "cosine, linear, wsd, constant"}),
          refused(
              "a decay of no steps",
              tiny + "--schedule wsd --decay-fraction 0",
              {"--decay-fraction", "0", "above 0, at most 1"}),
          refused(
              "a decay of more than all steps",
              tiny + "--schedule wsd --decay-fraction 1.5",
              {"--decay-fraction", "1.5", "above 0, at most 1"}),
          refused(
              "the decay of another schedule",
              tiny + "--decay-fraction 0.5",
              {"--decay-fraction", "--schedule wsd", "cosine"}),
          refused(
              "negative patience",
              tiny + "--patience -1",
              {"--patience", "-1", "at least 0"}),
          refused(
              "patience without validations",
              tiny + "--patience 3 --evaluate-every 0",
              {"--patience 3", "--evaluate-every 0"}),
          refused(
              "patience without a held-out text",
              tiny + "--patience 3 --valid-fraction 0",
              {"--patience 3", "--valid", "--valid-fraction"}),
          refused(
              "a negative difference",
              tiny + "--patience 3 --min-delta -0.1",
              {"--min-delta", "-0.1", "at least 0"}),
          refused(
              "a difference without patience",
              tiny + "--min-delta 0.1",
              {"--min-delta", "--patience", "0"}),
          refused(
              "a peak below nothing",
              tiny + "--peak-tflops -1",
              {"--peak-tflops", "-1", "at least 0"}),
          refused(
              "an unknown optimizer",
              tiny + "--optimizer sgd",
              {"--optimizer", "'sgd'", "adamw, muon"}),
          refused(
              "an unknown precision",
              tiny + "--precision half",
              {"--precision", "'half'", "float32, bfloat16"}),
          refused(
              "an unknown tokenizer",
              tiny + "--tokenizer words",
              {"--tokenizer", "'words'", "bytes, chars"}),
          refused(
              "an unknown device",
              tiny + "--device tpu",
              {"--device", "'tpu'", "auto, cpu, mps and cuda"}),
          refused(
              "heads that do not divide the width",
              "train --data %/book.txt --out %/run --dim 16 --heads 3",
              {"dim 16", "3", "equal size"}),
          refused(
              "more than all of the width",
              tiny + "--attention 2",
              {"attention_fraction", "2", "0 to 1"}),
          refused(
              "a dropout of everything and more",
              tiny + "--dropout 1.5",
              {"--dropout", "1.5", "below 1"}),
          refused(
              "everything held out",
              tiny + "--valid-fraction 1",
              {"valid_fraction", "1", "below 1"}),
          refused(
              "too little held out",
              tiny + "--max-bytes 100",
              {"held-out text",
               "10 tokens",
               "--context 16",
               "--valid-fraction"}),
          refused(
              "a misspelt option of the model",
              tiny + "--model wavlet=db2",
              {"SignalLLMOptions::parse", "'wavlet'", "'wavelet'"}),
          refused(
              "an unknown wavelet",
              tiny + "--model wavelet=db99",
              {"Wavelet", "'db99'", "did you mean"}),
          refused(
              "level below -1",
              tiny + "--model levels=-2",
              {"levels", "-2", "at least 0, or -1"}),
          refused(
              "an option of the model without a value",
              tiny + "--model wavelet",
              {"--model", "name=value", "'wavelet'"}),
          refused(
              "a missing configuration",
              "train --config %/no.toml",
              {"train", "FOLDER/no.toml"},
              2),
          refused(
              "a misspelt key in the configuration",
              "train --config %/typo.toml",
              {"train", "'contxt'", "'context'"},
              2),
          refused(
              "a word for a number in the configuration",
              "train --config %/value.toml",
              {"train", "steps", "many"},
              2),
          refused(
              "a configuration of something else",
              "train --config %/garbage.toml",
              {"train", "configuration file"},
              2),
          refused("no run", "generate", {"--run", "folder"}),
          refused(
              "no tokens",
              "generate --run %/run --tokens 0",
              {"--tokens", "0", "at least 1"}),
          refused(
              "a negative temperature",
              "generate --run %/run --temperature -1",
              {"--temperature", "-1", "at least 0"}),
          refused(
              "no probability",
              "generate --run %/run --top-p 0",
              {"--top-p", "0", "above 0, at most 1"}),
          refused(
              "no samples",
              "generate --run %/run --samples 0",
              {"--samples", "0", "at least 1"}),
          refused(
              "a file of prompts and a prompt",
              "generate --run %/run --prompts %/book.txt --prompt a",
              {"--prompts", "--prompt", "give one"}),
          refused(
              "prompts that are not there",
              "generate --run %/run --prompts %/no.txt",
              {"--prompts", "no.txt"}),
          refused(
              "a negative number of candidates",
              "generate --run %/run --top-k -1",
              {"--top-k", "-1", "at least 0"}),
          refused(
              "no time",
              "demo --data %/book.txt --minutes 0",
              {"--minutes", "0", "more than 0"}),
          refused(
              "pictures of no training",
              "visualize --out %/pictures --steps 0",
              {"--steps", "0", "at least 1"}),
          refused(
              "pictures measured for no time",
              "visualize --out %/pictures --seconds 0",
              {"--seconds", "0", "more than 0"}),
          refused(
              "pictures of a trained run and of training",
              "visualize --out %/pictures --run %/run --steps 5",
              {"--run", "--steps"}),
          refused(
              "a text to look at without a run",
              "visualize --out %/pictures --text fox",
              {"--text", "--run"}),
          refused(
              "pictures of a run that is not there",
              "visualize --out %/pictures --run %/no",
              {"no such run folder", "FOLDER/no"}),
          refused(
              "pictures in a file",
              "visualize --out %/empty.txt",
              {"--out", "FOLDER/empty.txt", "cannot write"}),
          without_matplotlib(),
      },
      scrub());
  EXPECT_FALSE(fs::exists(folder_ / "run")); // nothing was written
  EXPECT_FALSE(fs::exists(folder_ / "pictures"));
}

TEST_F(ProgramErrors, Runs) {
  train("run");
  train("two");
  folder_.write("plain/notes.txt", "no run");
  const std::string eval = "eval --run %/run --threads 1";
  const std::string newest = "run/checkpoint-00000002/";
  // A whole checkpoint of another model, and one whose weights are not
  // numbers, written by the library itself.
  const auto resaved = [&](const std::string& run, auto change) {
    const training::RunFolder folder(folder_ / run);
    auto checkpoint = folder.load(2);
    change(checkpoint);
    checkpoint.step = 2;
    folder.save(checkpoint);
  };
  fs::copy(folder_ / "run", folder_ / "foreign", fs::copy_options::recursive);
  resaved("foreign", [](training::Checkpoint& c) {
    c.model = {{"weight", at::full({3}, 1.0)}};
    c.average.clear();
  });
  fs::copy(folder_ / "run", folder_ / "nan", fs::copy_options::recursive);
  resaved("nan", [](training::Checkpoint& c) {
    c.average.at("norm.weight") =
        at::full({16}, std::numeric_limits<float>::quiet_NaN());
  });
  const auto full_disk = [&](const std::string& line, const auto& disk) {
    auto wrong = refused(
        "a file that may grow no more, as on a full disk",
        line,
        {"cannot write", "File too large", "FOLDER"});
    wrong.complaint = [inner = wrong.complaint, disk] {
      const FileSizeLimit limit(disk);
      return inner();
    };
    return wrong;
  };
  const auto locked = [&] {
    auto wrong = refused(
        "a run that another process is writing",
        "train --resume %/run --steps 4",
        {"FOLDER/run", "is being written by process N", "--out"});
    wrong.complaint = [this, inner = wrong.complaint] {
      // As another process would; reading is for everybody.
      const auto lock = training::RunFolder(folder_ / "run").reopen();
      EXPECT_EQ(program_(words("eval --run %/run --threads 1")).code, 0);
      return inner();
    };
    return wrong;
  };
  expect_refused(
      "program",
      {
          refused(
              "a run that is not there",
              "eval --run %/no",
              {"no such run folder", "FOLDER/no"}),
          refused(
              "a folder that is no run",
              "generate --run %/plain",
              {"FOLDER/plain", "config.json"}),
          refused(
              "a folder that holds a run already",
              "train --data %/book.txt --out %/run --context 16 --dim 16 "
              "--heads 2",
              {"FOLDER/run", "--resume", "--out"}),
          refused(
              "two folders for one run",
              "train --resume %/run --out %/other",
              {"--resume", "--out"}),
          refused(
              "another model for a run that goes on",
              "train --resume %/run --dim 32 --steps 9",
              {"--dim", "16", "32"}),
          refused(
              "fewer steps than the run has done",
              "train --resume %/run --steps 1",
              {"2 steps", "--steps", "1"}),
          changed(
              "a misspelt key in config.json",
              "run/config.json",
              edit([](auto& json) { json["settings"]["contxt"] = 9; }),
              eval,
              {"config.json", "'settings.contxt'", "'context'"}),
          changed(
              "an unknown part in config.json",
              "run/config.json",
              edit([](auto& json) { json["modell"] = 1; }),
              eval,
              {"config.json", "'modell'", "'model'"}),
          changed(
              "a misspelt option of the model in config.json",
              "run/config.json",
              edit([](auto& json) { json["model"]["wavlet"] = "db2"; }),
              eval,
              {"config.json", "'wavlet'", "'wavelet'"}),
          changed(
              "a fraction for a whole number in config.json",
              "run/config.json",
              edit([](auto& json) { json["settings"]["context"] = 16.5; }),
              eval,
              {"config.json", "settings.context", "16.5", "whole number"}),
          changed(
              "a truncated config.json",
              "run/config.json",
              [](const std::string& text) { return text.substr(0, 99); },
              eval,
              {"config.json", "not a JSON object"}),
          changed(
              "a vocabulary of another run",
              "run/tokenizer.json",
              [](const std::string&) {
                return std::string(R"({"kind": "bytes"})");
              },
              eval,
              {"tokenizer.json", "256", "vocab_size"}),
          changed(
              "a vocabulary of another run, going on",
              "run/tokenizer.json",
              [](const std::string&) {
                return std::string(R"({"kind": "bytes"})");
              },
              "train --resume %/run --steps 4",
              {"tokenizer.json", "256", "vocab_size"}),
          changed(
              "a damaged tokenizer.json",
              "run/tokenizer.json",
              [](const std::string&) { return std::string("{"); },
              eval,
              {"tokenizer.json", "not a JSON object"}),
          refused(
              "a checkpoint of another model",
              "eval --run %/foreign",
              {"load_module", "'"}),
          refused(
              "NaN in weights",
              "generate --run %/nan",
              {"load_module", "'norm.weight'", "NaN"}),
          refused(
              "a character that the model does not know",
              "generate --run %/run --prompt \u20ac",
              {"U+20AC", "tokenizer"}),
          refused(
              "a text with characters that the model does not know",
              "eval --run %/run --data %/run/config.json",
              {"CharTokenizer::encode", "offset"}),
          locked(),
          full_disk(
              "train --data %/book.txt --out %/full --dim 16 --layers 1 "
              "--heads 2 --context 16 --steps 2 --threads 1",
              4096),
          full_disk("train --resume %/two --steps 3 --threads 1", 16384),
      },
      scrub());
  // What failed lost nothing.
  EXPECT_EQ(program_(words(eval)).code, 0);
  EXPECT_EQ(program_(words("eval --run %/two --threads 1")).code, 0);
  EXPECT_TRUE(fs::exists(folder_ / newest));
}

TEST_F(ProgramErrors, DamageIsToldAndTheCheckpointBeforeTaken) {
  train("run");
  ASSERT_EQ(
      program_(words("train --resume %/run --steps 4 --threads 1")).code, 0);
  const std::string weights = "run/checkpoint-00000004/model.safetensors";
  folder_.write(weights, folder_.read(weights).substr(0, 100));
  const auto outcome = program_(words("eval --run %/run --json --threads 1"));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.complains(weights)) << outcome.error;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["step"], 2);
}

TEST_F(ProgramErrors, WhatCannotBePrintedIsAnError) {
  if (!fs::exists("/dev/full")) {
    GTEST_SKIP() << "no /dev/full here";
  }
  train("run");
  const auto outcome = program_.finish(program_.start(
      words("eval --run %/run --json --threads 1"), "/dev/full"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.complains("No space left on device")) << outcome.error;
}

} // namespace
} // namespace signalllm::test
