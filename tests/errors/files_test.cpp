// Wrong texts, damaged files, full disks and folders that others write.

#include "errors/machine.h"
#include "errors/page.h"
#include "temporary_folder.h"
#include "training/small_model.h"

#include <signalllm/data/corpus.h>
#include <signalllm/data/tokenizer.h>
#include <signalllm/data/windows.h>
#include <signalllm/training/fit.h>
#include <signalllm/training/trainer.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

namespace signalllm::test {
namespace {

TEST(FileErrors, Texts) {
  using data::CharTokenizer;
  using data::make_tokenizer;
  using data::read_corpus;
  using Corpus = data::CorpusOptions;
  using data::RandomWindows;
  const TemporaryFolder folder;
  std::filesystem::permissions(
      folder.path(),
      std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  const auto text = folder.write("book.txt", "a small text");
  const auto empty = folder.write("empty.txt", "");
  const auto packed = folder.write("book.txt.xz", "zzz");
  folder.write("pictures/a.png", "x");
  folder.write("closed/a.txt", "text");
  const auto closed = [&](const std::string& name) {
    return [&, name] {
      const auto path = folder / "closed" + name;
      const Unreadable no_one(path);
      return message_of([&] { read_corpus(path); });
    };
  };
  const CharTokenizer chars("abc");
  const auto tokens = at::arange(8);
  expect_refused(
      "texts",
      {
          SIGNALLLM_WRONG(
              "no path",
              read_corpus(std::string()),
              "read_corpus",
              "path",
              "empty",
              "a file or a folder"),
          SIGNALLLM_WRONG(
              "a missing file",
              read_corpus(folder / "no.txt"),
              "read_corpus",
              "no such file or folder",
              "no.txt"),
          SIGNALLLM_WRONG(
              "an empty corpus",
              read_corpus(empty),
              "read_corpus",
              "empty.txt",
              "is empty",
              "must be text"),
          SIGNALLLM_WRONG(
              "a compressed file",
              read_corpus(packed),
              "read_corpus",
              "book.txt.xz",
              "compressed",
              "xz -dk"),
          SIGNALLLM_WRONG(
              "a folder without text",
              read_corpus(folder / "pictures"),
              "read_corpus",
              "pictures",
              "no files to read",
              "* reads all"),
          Wrong{
              "an unreadable folder",
              "read_corpus(folder / \"closed\")",
              closed(""),
              {"read_corpus", "closed", "Permission denied"}},
          Wrong{
              "an unreadable file",
              "read_corpus(folder / \"closed/a.txt\")",
              closed("/a.txt"),
              {"read_corpus", "closed/a.txt", "Permission denied"}},
          SIGNALLLM_WRONG(
              "a missing validation text",
              read_corpus(Corpus(text).valid_path(folder / "no.txt")),
              "read_corpus",
              "no such file or folder",
              "no.txt"),
          SIGNALLLM_WRONG(
              "everything held out",
              read_corpus(Corpus(text).valid_fraction(1)),
              "read_corpus",
              "valid_fraction",
              "1",
              "below 1"),
          SIGNALLLM_WRONG(
              "a negative limit",
              read_corpus(Corpus(text).max_bytes(-1)),
              "read_corpus",
              "max_bytes",
              "-1",
              "not be negative"),
          SIGNALLLM_WRONG(
              "a character that the text did not have",
              chars.encode("ab\u20acc"),
              "CharTokenizer::encode",
              "U+20AC",
              "offset 2"),
          SIGNALLLM_WRONG(
              "bytes that are no UTF-8",
              make_tokenizer("chars", "a\x80"),
              "UTF-8",
              "0x80",
              "offset 1",
              "bytes tokenizer"),
          SIGNALLLM_WRONG(
              "no characters",
              make_tokenizer("chars", ""),
              "CharTokenizer",
              "no characters"),
          SIGNALLLM_WRONG(
              "an unknown tokenizer",
              make_tokenizer("words", "a"),
              "make_tokenizer",
              "'words'",
              "bytes, chars and sentencepiece"),
          SIGNALLLM_WRONG(
              "a token that is not in the vocabulary",
              chars.decode(at::full({1}, 3, at::kLong)),
              "Tokenizer::decode",
              "3",
              "0 to 2"),
          SIGNALLLM_WRONG(
              "a text no longer than a window",
              RandomWindows(tokens, /*context=*/8, /*seed=*/0),
              "RandomWindows",
              "8 tokens",
              "context of 8",
              "at least 9"),
          SIGNALLLM_WRONG(
              "a context of nothing",
              RandomWindows(tokens, /*context=*/0, /*seed=*/0),
              "RandomWindows",
              "context",
              "0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "tokens that are not whole numbers",
              RandomWindows(tokens.to(at::kFloat), /*context=*/4, /*seed=*/0),
              "RandomWindows",
              "tokens",
              "Float",
              "1-D integer"),
      },
      {{folder.path(), "FOLDER"}});
}

std::string safetensors(const std::string& header, std::size_t data) {
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  return file + header + std::string(data, '\0');
}

TEST(FileErrors, Weights) {
  using training::load_module;
  using training::load_safetensors;
  using training::save_safetensors;
  const TemporaryFolder folder;
  save_safetensors(folder / "good", {{{"x", at::full({100}, 1.0)}}, {}});
  const auto good = folder.read("good");
  const auto cut = folder.write("cut", good.substr(0, good.size() / 2));
  const auto damaged =
      folder.write("damaged", std::string(good).replace(9, 1, "["));
  const auto foreign =
      folder.write("weights.pt", "PK\x03\x04 archive of something else");
  const auto large = folder.write(
      "large",
      safetensors(
          R"({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}})",
          8));
  const auto unknown = folder.write(
      "unknown",
      safetensors(
          R"({"x": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}})",
          8));
  const auto twice = folder.write(
      "twice",
      safetensors(
          R"({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},)"
          R"( "y": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})",
          6));
  SmallModel model(11), other(12);
  auto missing = training::module_tensors(*model);
  missing.erase("head.bias");
  auto extra = training::module_tensors(*model);
  extra["extra"] = at::full({1}, 1.0);
  auto nan = training::module_tensors(*model);
  nan["head.bias"] = at::full({11}, std::numeric_limits<double>::quiet_NaN());
  const training::SafeTensors weights{{{"x", at::full({10000}, 1.0)}}, {}};
  expect_refused(
      "weights",
      {
          SIGNALLLM_WRONG(
              "a missing file",
              load_safetensors(folder / "no.safetensors"),
              "load_safetensors",
              "no.safetensors",
              "No such file"),
          SIGNALLLM_WRONG(
              "a folder",
              load_safetensors(folder.path()),
              "load_safetensors",
              "FOLDER",
              "Is a directory"),
          SIGNALLLM_WRONG(
              "a truncated file",
              load_safetensors(cut),
              "load_safetensors",
              "cut",
              "truncated",
              "400 bytes"),
          SIGNALLLM_WRONG(
              "a damaged header",
              load_safetensors(damaged),
              "load_safetensors",
              "damaged",
              "JSON object"),
          SIGNALLLM_WRONG(
              "a file of another kind",
              load_safetensors(foreign),
              "load_safetensors",
              "weights.pt",
              "not a safetensors file"),
          SIGNALLLM_WRONG(
              "a shape that does not fit the data",
              load_safetensors(large),
              "load_safetensors",
              "'x'",
              "data_offsets",
              "shape"),
          SIGNALLLM_WRONG(
              "an unknown type of number",
              load_safetensors(unknown),
              "load_safetensors",
              "'x'",
              "F99"),
          SIGNALLLM_WRONG(
              "tensors that overlap",
              load_safetensors(twice),
              "load_safetensors",
              "'y'",
              "overlaps"),
          SIGNALLLM_WRONG(
              "a folder that is not there",
              save_safetensors(folder / "no/a.safetensors", weights),
              "save_safetensors",
              "no/a.safetensors",
              "No such file"),
          Wrong{
              "a full disk",
              "save_safetensors(full_disk / \"a.safetensors\", weights)",
              [&] {
                const SmallDisk disk(folder / "full", 16);
                return message_of([&] {
                  save_safetensors(folder / "full/a.safetensors", weights);
                });
              },
              {"save_safetensors", "full/a.safetensors", "No space left"}},
          Wrong{
              "a limit on the size of files",
              "save_safetensors(folder / \"a.safetensors\", weights)",
              [&] {
                const FileSizeLimit limit(16384);
                return message_of([&] {
                  save_safetensors(folder / "a.safetensors", weights);
                });
              },
              {"save_safetensors", "a.safetensors", "File too large"}},
          SIGNALLLM_WRONG(
              "weights of a model of another size",
              load_module(*model, training::module_tensors(*other)),
              "load_module",
              "shape",
              "[11]",
              "[12]"),
          SIGNALLLM_WRONG(
              "a tensor too few",
              load_module(*model, missing),
              "load_module",
              "'head.bias'",
              "needs"),
          SIGNALLLM_WRONG(
              "a tensor too many",
              load_module(*model, extra),
              "load_module",
              "'extra'",
              "has no tensor"),
          SIGNALLLM_WRONG(
              "NaN in weights",
              load_module(*model, nan),
              "load_module",
              "'head.bias'",
              "NaN",
              "11",
              "must be numbers"),
      },
      {{folder.path(), "FOLDER"}});
  // What failed left nothing behind and changed nothing.
  EXPECT_FALSE(std::filesystem::exists(folder / "a.safetensors"));
  EXPECT_EQ(folder.read("good"), good);
  EXPECT_FALSE(model->head->bias.isnan().any().item<bool>());
}

TEST(FileErrors, Runs) {
  using training::RunFolder;
  using training::RunLock;
  const TemporaryFolder folder;
  const RunFolder run(folder / "run"), hollow(folder / "hollow");
  std::filesystem::permissions(
      folder.path(),
      std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  folder.write("run/config.json", "{}");
  folder.write("hollow/other.txt", "");
  folder.write("new/config.json", "{}");
  training::Checkpoint checkpoint;
  checkpoint.step = 3;
  checkpoint.model["x"] = at::full({1000}, 1.0);
  run.save(checkpoint);
  const std::string name = "run/checkpoint-00000003/";
  const auto with = [&](const std::string& file, auto change) {
    return [&, file, change] {
      const auto whole = folder.read(name + file);
      auto text = whole;
      change(text);
      folder.write(name + file, text);
      auto complaint = message_of([&] { run.load(3); });
      folder.write(name + file, whole);
      return complaint;
    };
  };
  const RunLock held = run.reopen();
  SmallModel model(11);
  const auto windows =
      data::RandomWindows(at::arange(64).remainder(11), /*context=*/8, 0);
  using training::Trainer;
  using Options = training::TrainerOptions;
  Trainer trainer(model, windows, Options());
  expect_refused(
      "runs",
      {
          SIGNALLLM_WRONG(
              "a run that is not there",
              RunFolder(folder / "no").load_latest(),
              "RunFolder",
              "no such run folder",
              "FOLDER/no"),
          SIGNALLLM_WRONG(
              "a folder that is no run",
              hollow.load_latest(),
              "RunFolder",
              "hollow",
              "config.json"),
          SIGNALLLM_WRONG(
              "a run without a checkpoint",
              RunFolder(folder / "new").load_latest(),
              "RunFolder::load_latest",
              "new",
              "no checkpoint yet"),
          Wrong{
              "an unreadable folder",
              "run.load_latest()",
              [&] {
                const Unreadable no_one(run.path());
                return message_of([&] { run.load_latest(); });
              },
              {"RunFolder", "run", "Permission denied"}},
          SIGNALLLM_WRONG(
              "a folder that holds a run already",
              run.create(),
              "RunFolder::create",
              "run",
              "--resume",
              "--out"),
          SIGNALLLM_WRONG(
              "a folder that somebody is writing",
              run.reopen(),
              "RunLock",
              "run",
              "is being written by process",
              "--out"),
          Wrong{
              "a changed byte in the weights",
              "run.load(3)",
              with("model.safetensors", [](auto& text) { text[99] ^= 1; }),
              {"RunFolder::load", "model.safetensors", "checksum"}},
          Wrong{
              "truncated weights",
              "run.load(3)",
              with("model.safetensors", [](auto& text) { text.resize(99); }),
              {"RunFolder::load", "model.safetensors", "wrong size"}},
          Wrong{
              "a changed step in state.json",
              "run.load(3)",
              with(
                  "state.json",
                  [](auto& text) {
                    text.replace(text.find("\"step\": 3") + 8, 1, "4");
                  }),
              {"RunFolder::load", "state.json", "wrong checksum"}},
          Wrong{
              "a truncated state.json",
              "run.load(3)",
              with("state.json", [](auto& text) { text.resize(20); }),
              {"RunFolder::load", "state.json", "not a JSON object"}},
          Wrong{
              "a state.json of something else",
              "run.load(3)",
              with("state.json", [](auto& text) { text = "{\"a\": 1}"; }),
              {"RunFolder::load", "state.json", "not the state"}},
          Wrong{
              "a full disk",
              "RunFolder(full_disk).save(checkpoint)",
              [&] {
                const SmallDisk disk(folder / "full", 4);
                const RunFolder full(folder / "full");
                auto complaint = message_of([&] { full.save(checkpoint); });
                // The half of it does not stay in the way.
                EXPECT_TRUE(std::filesystem::is_empty(full.path()));
                return complaint;
              },
              {"cannot write", "FOLDER/full", "No space left"}},
          SIGNALLLM_WRONG(
              "an empty batch",
              Trainer(model, windows, Options().batch(0)),
              "Trainer",
              "batch",
              "0",
              "at least 1"),
          SIGNALLLM_WRONG(
              "an average of everything",
              Trainer(model, windows, Options().average(1)),
              "Trainer",
              "average",
              "1",
              "below 1"),
          SIGNALLLM_WRONG(
              "an unknown schedule",
              training::learning_rate(
                  training::ScheduleOptions().shape("cubic"), 500),
              "learning_rate",
              "'cubic'",
              "cosine"),
          SIGNALLLM_WRONG(
              "a decay of no steps",
              training::learning_rate(
                  training::ScheduleOptions().shape("wsd").decay_fraction(0),
                  500),
              "learning_rate",
              "decay_fraction",
              "0",
              "at most 1"),
          SIGNALLLM_WRONG(
              "nothing to wait for",
              training::fit(trainer, training::FitOptions().patience(3)),
              "fit",
              "patience",
              "3",
              "no validation text"),
          SIGNALLLM_WRONG(
              "a step without gradients",
              training::FusedAdamW(*model).step(1e-3),
              "FusedAdamW",
              "no parameter has a gradient"),
          SIGNALLLM_WRONG(
              "moments of another model",
              training::FusedAdamW(*model).load_state({}),
              "FusedAdamW"),
      },
      {{folder.path(), "FOLDER"},
       {"process " + std::to_string(::getpid()), "process N"}});
  EXPECT_EQ(run.load_latest().step, 3);
}

TEST(FileErrors, AFullDiskKeepsTheCheckpointBefore) {
  const TemporaryFolder folder;
  const training::RunFolder run(folder.path());
  run.write_text("config.json", "{}");
  training::Checkpoint checkpoint;
  checkpoint.step = 1;
  run.save(checkpoint);
  checkpoint.step = 2;
  checkpoint.model["x"] = at::full({10000}, 1.0);
  {
    const FileSizeLimit limit(16384);
    EXPECT_THROW(run.save(checkpoint), c10::Error);
  }
  EXPECT_EQ(run.load_latest().step, 1);
  EXPECT_EQ(run.checkpoints().size(), 1U);
}

TEST(FileErrors, TheLockIsLetGo) {
  const TemporaryFolder folder;
  const training::RunFolder run(folder / "run");
  {
    const auto lock = run.create();
    EXPECT_THROW(run.create(), c10::Error);
  }
  auto lock = run.create(); // no run yet, and nobody holds it
  run.write_text("config.json", "{}");
  lock = training::RunLock();
  EXPECT_NO_THROW(run.reopen());
}

} // namespace
} // namespace signalllm::test
