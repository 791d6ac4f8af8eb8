// Models go out to other programs and come back.

#include "app/program_test_base.h"

#include <signalllm/nn/model.h>
#include <signalllm/training/checkpoint.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

namespace signalllm {
namespace {

class AppExport : public ProgramTest {
 protected:
  AppExport() : ProgramTest(200, /*draws=*/false) {}

  /// Runs a command line, in which `%` stands for the folder.
  Outcome run(const std::string& line) const {
    std::vector<std::string> words;
    std::istringstream stream(line);
    for (std::string word; stream >> word;) {
      const auto at = word.find('%');
      words.push_back(
          at == std::string::npos ? word : word.replace(at, 1, folder_.path()));
    }
    if (words[0] == "train" && words[1] != "--resume") {
      words = tiny({words.begin() + 1, words.end()});
    }
    auto outcome = program_(words);
    EXPECT_EQ(outcome.code, 0) << line << "\n" << outcome.error;
    return outcome;
  }

  /// The files of a folder by name.
  std::map<std::string, std::string> files(const std::string& name) const {
    std::map<std::string, std::string> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_ / name)) {
      const auto file = entry.path().filename().string();
      files[file] = folder_.read(name + "/" + file);
    }
    return files;
  }

  training::TensorMap tensors(const std::string& name) const {
    return training::load_safetensors(folder_ / name).tensors;
  }

  double loss(const std::string& name) const {
    const auto scored =
        run("eval --run %/" + name + " --data %/text.txt --threads 1 --json");
    return nlohmann::json::parse(scored.out)["loss"].get<double>();
  }
};

TEST_F(AppExport, ComesBackTheSame) {
  const std::map<std::string, std::string> models{
      {"plain", ""},
      {"tree",
       " --tokenizer chars --attention 0.5 --model "
       "window=4,qk_norm=true,attention_filter=wavelet,wavelet=db2,levels=2,"
       "embedding=hybrid"},
      {"frequency",
       " --dropout 0.1 --model attention=frequency,ricker=true,rotary=false,"
       "absolute_positions=true,feed_forward=causal_time,activation=gelu"}};
  for (const auto& [name, more] : models) {
    run("train --data %/text.txt --steps 4 --out %/" + name + more);
    run("export --example --run %/" + name + " --out %/" + name + "-out");
    run("import --model %/" + name + "-out --out %/" + name + "-back");
    run("export --example --run %/" + name + "-back --out %/" + name +
        "-again");
    const auto exported = files(name + "-out");
    std::set<std::string> names;
    for (const auto& [file, bytes] : exported) {
      names.insert(file);
    }
    EXPECT_EQ(
        names,
        (std::set<std::string>{
            "config.json",
            "example.safetensors",
            "model.safetensors",
            "tokenizer.json"}));
    // Weights and logits bit for bit, and every option.
    EXPECT_EQ(exported, files(name + "-again")) << name;
    const auto written = [&](const std::string& which) {
      return run("generate --seed 1 --tokens 12 --threads 1 --prompt line "
                 "--run %/" +
                 which)
          .out;
    };
    EXPECT_EQ(written(name), written(name + "-back"));
    EXPECT_EQ(loss(name), loss(name + "-back"));
    const auto settings = nlohmann::json::parse(
        folder_.read(name + "-back/config.json"))["settings"];
    EXPECT_EQ(settings["context"], 16);
    EXPECT_EQ(settings["dim"], 16);
  }
}

TEST_F(AppExport, TheConfigurationSaysEveryOption) {
  run("train --data %/text.txt --steps 1 --out %/run --model "
      "wavelet=lattice(0.5)");
  run("export --run %/run --out %/not/there/yet");
  const auto config =
      nlohmann::json::parse(folder_.read("not/there/yet/config.json"));
  EXPECT_EQ(config["model_type"], "signalllm");
  EXPECT_EQ(config["vocab_size"], 256);
  EXPECT_EQ(config["attention_fraction"], 0.5);
  EXPECT_EQ(config["qk_norm"], true);
  EXPECT_EQ(config["wavelet"], "lattice(0.5)");
  EXPECT_EQ(config["torch_dtype"], "float32");
  const auto options = SignalLLMOptions(1).describe();
  for (const auto& [name, value] : options) {
    EXPECT_TRUE(config.contains(name)) << name;
  }
}

TEST_F(AppExport, ChoosesWeights) {
  run("train --data %/text.txt --steps 4 --checkpoint-every 2 --out %/run");
  const auto checkpoint = [&](const std::string& file) {
    return folder_.read("run/checkpoint-0000000" + file);
  };
  run("export --run %/run --out %/last --weights last");
  EXPECT_EQ(
      folder_.read("last/model.safetensors"),
      checkpoint("4/model.safetensors"));
  run("export --run %/run --out %/two --weights last --step 2");
  EXPECT_EQ(
      folder_.read("two/model.safetensors"), checkpoint("2/model.safetensors"));
  run("export --run %/run --out %/usual");
  run("export --run %/run --out %/averaged --weights averaged");
  EXPECT_EQ(files("usual"), files("averaged"));
  const auto usual = tensors("usual/model.safetensors");
  for (const auto& [name, tensor] :
       tensors("run/checkpoint-00000004/average.safetensors")) {
    EXPECT_TRUE(tensor.equal(usual.at(name))) << name;
  }
  run("train --data %/text.txt --steps 2 --average 0 --out %/plain");
  run("export --run %/plain --out %/none");
  EXPECT_EQ(
      folder_.read("none/model.safetensors"),
      folder_.read("plain/checkpoint-00000002/model.safetensors"));
}

TEST_F(AppExport, RoundsParametersOnly) {
  run("train --data %/text.txt --steps 2 --out %/run");
  run("export --run %/run --out %/full");
  const auto full = tensors("full/model.safetensors");
  for (const auto& [dtype, type] : std::map<std::string, at::ScalarType>{
           {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}}) {
    const auto again = " --example --dtype " + dtype;
    run("export --run %/run --out %/" + dtype + again);
    const auto rounded = tensors(dtype + "/model.safetensors");
    const std::set<std::string> buffers{
        "embedding.basis", "blocks.0.fourier.frequency"};
    for (const auto& [name, tensor] : rounded) {
      const auto whole = full.at(name);
      EXPECT_TRUE(
          tensor.equal(buffers.count(name) == 1 ? whole : whole.to(type)))
          << name;
    }
    run("import --model %/" + dtype + " --out %/" + dtype + "-run");
    EXPECT_NEAR(loss(dtype + "-run"), loss("run"), 1e-2);
    // The example is of the weights as written.
    run("export --run %/" + dtype + "-run --out %/" + dtype + "-again" + again);
    EXPECT_EQ(files(dtype), files(dtype + "-again"));
  }
}

TEST_F(AppExport, ReplacesAModelWhereAsked) {
  run("train --data %/text.txt --steps 4 --checkpoint-every 2 --out %/run");
  std::filesystem::create_directory(folder_ / "model"); // empty: no loss
  run("export --run %/run --out %/model --step 2 --example");
  run("export --run %/run --out %/model/ --force");
  run("export --run %/run --out %/fresh");
  EXPECT_EQ(files("model"), files("fresh"));
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path())) {
    const auto name = entry.path().filename().string();
    EXPECT_FALSE(name.starts_with("model.")) << name;
  }
}

TEST_F(AppExport, AnImportedModelLearnsOn) {
  run("train --data %/text.txt --steps 60 --warmup 10 --lr 0.01 --out %/run");
  run("export --run %/run --out %/model --weights last");
  run("import --model %/model --out %/back");
  const auto whole = program_({"eval", "--run", folder_ / "back"});
  EXPECT_TRUE(whole.complains("--data")) << whole.error; // no text yet
  const auto words = program_(
      {"train", "--resume", folder_ / "back", "--data", text_, "--dim", "32"});
  EXPECT_TRUE(words.complains("--dim")) << words.error;
  const auto kind = program_(
      {"train",
       "--resume",
       folder_ / "back",
       "--data",
       text_,
       "--tokenizer",
       "chars"});
  EXPECT_TRUE(kind.complains("cannot become chars")) << kind.error;

  run("train --resume %/back --data %/text.txt --steps 3 --batch 2 --seed 7 "
      "--threads 1 --report-every 1 --optimizer muon --valid-fraction 0.2");
  std::istringstream log(folder_.read("back/log.jsonl"));
  std::string line;
  std::getline(log, line);
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["step"], 1);
  EXPECT_LT(
      first["loss"].get<double>(), 4); // anew it is that of 256 bytes, 5.5
  run("eval --run %/back --threads 1");
  run("train --resume %/back --steps 4");
  const auto resumed = program_(
      {"train", "--resume", folder_ / "back", "--steps", "5", "--seed", "8"});
  EXPECT_TRUE(resumed.complains("--seed")) << resumed.error;
}

TEST_F(AppExport, SubWordsGoAlong) {
  const auto trained = program_(tiny(
      {"--data",
       text_,
       "--steps",
       "2",
       "--tokenizer",
       "sentencepiece",
       "--vocab-size",
       "300",
       "--out",
       folder_ / "run"}));
  if (trained.complains("this build does without it")) {
    GTEST_SKIP() << trained.error;
  }
  ASSERT_EQ(trained.code, 0) << trained.error;
  run("export --run %/run --out %/model");
  std::filesystem::remove(folder_ / "model/tokenizer.json");
  run("import --model %/model --out %/back"); // from tokenizer.model
  EXPECT_EQ(
      folder_.read("back/tokenizer.json"), folder_.read("run/tokenizer.json"));
  EXPECT_EQ(loss("run"), loss("back"));
}

TEST_F(AppExport, TakesValuesAsTexts) {
  run("train --data %/text.txt --steps 2 --out %/run");
  run("export --run %/run --out %/model");
  auto config = nlohmann::json::parse(folder_.read("model/config.json"));
  for (auto& [name, value] : config.items()) {
    if (!value.is_string() && !value.is_array()) {
      value = value.dump();
    }
  }
  config["transformers_version"] = "4.57.0";
  config.erase("init_std");
  folder_.write("model/config.json", config.dump());
  std::filesystem::remove(folder_ / "model/tokenizer.json");
  run("import --model %/model --out %/back --tokenizer bytes");
  EXPECT_EQ(loss("run"), loss("back"));
}

} // namespace
} // namespace signalllm
