// Wrong inputs of export and import.

#include "errors/machine.h"
#include "errors/refused_program.h"

#include <signalllm/training/checkpoint.h>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

namespace signalllm::test {
namespace {

class ModelErrors : public RefusedProgram {
 protected:
  /// `refused` while the weights of the model are others.
  template <typename Change>
  Wrong other_weights(
      const std::string& what,
      Change change,
      std::vector<std::string> names) {
    auto wrong =
        refused(what, "import --model %/model --out %/new", std::move(names));
    wrong.complaint = [this, change, inner = wrong.complaint] {
      const std::string file = "model/model.safetensors";
      const auto whole = folder_.read(file);
      auto weights = training::load_safetensors(folder_ / file);
      change(weights.tensors);
      training::save_safetensors(folder_ / file, weights);
      auto complaint = inner();
      folder_.write(file, whole);
      return complaint;
    };
    return wrong;
  }

  /// `refused` while the model has no such file.
  Wrong without(
      const std::string& what,
      const std::string& file,
      std::vector<std::string> names) {
    auto wrong =
        refused(what, "import --model %/model --out %/new", std::move(names));
    wrong.complaint = [this, file, inner = wrong.complaint] {
      const auto whole = folder_.read(file);
      std::filesystem::remove(folder_ / file);
      auto complaint = inner();
      folder_.write(file, whole);
      return complaint;
    };
    return wrong;
  }
};

TEST_F(ModelErrors, Exports) {
  train("run");
  folder_.write("full/model.safetensors", "");
  folder_.write("full/notes.txt", "");
  folder_.write("model/model.safetensors", "");
  // Weights that are not averaged, one of them large.
  train("last");
  const training::RunFolder last(folder_ / "last");
  auto checkpoint = last.load(2);
  checkpoint.average.clear();
  checkpoint.model["norm.weight"] = at::full({16}, 1e6);
  last.save(checkpoint);
  const auto full_disk = [&] {
    auto wrong = refused(
        "a file that may grow no more, as on a full disk",
        "export --run %/run --out %/new",
        {"cannot write", "File too large", "FOLDER/new"});
    wrong.complaint = [inner = wrong.complaint] {
      const FileSizeLimit limit(4096);
      return inner();
    };
    return wrong;
  };
  expect_refused(
      "export",
      {
          refused("no run", "export --out %/new", {"--run", "folder"}),
          refused("no folder", "export --run %/run", {"--out"}),
          refused(
              "a run that is not there",
              "export --run %/no --out %/new",
              {"no such run folder", "FOLDER/no"}),
          refused(
              "an unknown kind of weights",
              "export --run %/run --out %/new --weights best",
              {"--weights", "'best'", "averaged and last"}),
          refused(
              "averaged weights of a run that has none",
              "export --run %/last --out %/new --weights averaged",
              {"--weights", "averaged", "last"}),
          refused(
              "a step without a checkpoint",
              "export --run %/run --out %/new --step 7",
              {"--step", "7", "FOLDER/run", "2"}),
          refused(
              "an unknown dtype",
              "export --run %/run --out %/new --dtype int8",
              {"--dtype", "'int8'", "float32, bfloat16 and float16"}),
          refused(
              "weights that the dtype cannot hold",
              "export --run %/last --out %/new --dtype float16",
              {"'norm.weight'", "float16"}),
          refused(
              "a file in the folder's place",
              "export --run %/run --out %/book.txt",
              {"FOLDER/book.txt", "file"}),
          refused(
              "a folder with a model",
              "export --run %/run --out %/model",
              {"FOLDER/model", "--force"}),
          refused(
              "a folder with more than a model",
              "export --run %/run --out %/full --force",
              {"FOLDER/full", "notes.txt"}),
          full_disk(),
      },
      scrub());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "full/notes.txt"));
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos);
  }
}

TEST_F(ModelErrors, Imports) {
  train("run");
  ASSERT_EQ(program_(words("export --run %/run --out %/model")).code, 0);
  const std::string import = "import --model %/model --out %/new";
  const std::string config = "model/config.json";
  const std::string weights = "model/model.safetensors";
  using Tensors = training::TensorMap;
  expect_refused(
      "import",
      {
          refused("no model", "import --out %/new", {"--model", "folder"}),
          refused(
              "a model that is not there",
              "import --model %/no --out %/new",
              {"FOLDER/no", "config.json"}),
          without(
              "a folder without weights",
              weights,
              {"FOLDER/model", "model.safetensors"}),
          without(
              "a folder without a tokenizer",
              "model/tokenizer.json",
              {"FOLDER/model", "tokenizer.json", "--tokenizer"}),
          refused(
              "a folder that holds a run already",
              "import --model %/model --out %/run",
              {"FOLDER/run", "--out"}),
          refused(
              "another vocabulary",
              "import --model %/model --out %/new --tokenizer bytes",
              {"256", "vocab_size", "23"}),
          changed(
              "the tokenizer.json of another program",
              "model/tokenizer.json",
              [](auto) { return std::string(R"({"added_tokens": []})"); },
              import,
              {"tokenizer.json", "Hugging Face"}),
          changed(
              "a truncated config.json",
              config,
              [](const std::string& text) { return text.substr(0, 99); },
              import,
              {"config.json", "not a JSON object"}),
          changed(
              "another kind of model",
              config,
              edit([](auto& json) { json["model_type"] = "llama"; }),
              import,
              {"config.json", "\"llama\"", "\"signalllm\""}),
          changed(
              "no kind of model",
              config,
              edit([](auto& json) { json.erase("model_type"); }),
              import,
              {"config.json", "model_type", "\"signalllm\""}),
          changed(
              "a misspelt key in config.json",
              config,
              edit([](auto& json) { json["wavlet"] = "db2"; }),
              import,
              {"config.json", "'wavlet'", "'wavelet'"}),
          changed(
              "a list in config.json",
              config,
              edit([](auto& json) {
                json["dim"] = {16, 16};
              }),
              import,
              {"config.json", "dim", "[16,16]", "number"}),
          changed(
              "a fraction for a whole number in config.json",
              config,
              edit([](auto& json) { json["layers"] = 1.5; }),
              import,
              {"config.json", "layers", "'1.5'", "whole number"}),
          changed(
              "truncated weights",
              weights,
              [](const std::string& bytes) {
                return bytes.substr(0, bytes.size() - 4);
              },
              import,
              {"model.safetensors", "truncated"}),
          other_weights(
              "a tensor of another shape",
              [](Tensors& t) { t["norm.weight"] = at::zeros({17}); },
              {"model.safetensors", "'norm.weight'", "[17]", "[16]"}),
          other_weights(
              "a missing tensor",
              [](Tensors& t) { t.erase("norm.bias"); },
              {"model.safetensors", "'norm.bias'", "needs"}),
          other_weights(
              "a tensor too many",
              [](Tensors& t) { t["lm_head.weight"] = at::zeros({1}); },
              {"model.safetensors", "'lm_head.weight'", "no tensor"}),
          other_weights(
              "whole numbers for weights",
              [](Tensors& t) { t["norm.bias"] = at::zeros({16}, at::kLong); },
              {"model.safetensors", "'norm.bias'", "I64", "F32"}),
          other_weights(
              "NaN in weights",
              [](Tensors& t) {
                t["norm.bias"] =
                    at::full({16}, std::numeric_limits<float>::quiet_NaN());
              },
              {"model.safetensors", "'norm.bias'", "NaN"}),
      },
      scrub());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
  EXPECT_EQ(program_(words(import)).code, 0);
}

} // namespace
} // namespace signalllm::test
