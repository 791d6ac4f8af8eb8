// signalllm tokenize, and training on what it writes.

#include "app/program_test_base.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace signalllm {
namespace {

class Tokenize : public ProgramTest {
 protected:
  Tokenize() : ProgramTest(400) {}

  Outcome tokenize(const std::string& out, std::vector<std::string> more = {})
      const {
    std::vector<std::string> words{
        "tokenize", "--data", text_, "--out", folder_ / out};
    words.insert(words.end(), more.begin(), more.end());
    return program_(words);
  }

  Outcome train(
      const std::string& data,
      const std::string& run,
      std::vector<std::string> more = {}) const {
    std::vector<std::string> words{
        "--data", data, "--out", folder_ / run, "--steps", "4"};
    words.insert(words.end(), more.begin(), more.end());
    return program_(tiny(words));
  }
};

TEST_F(Tokenize, TrainsAsOnTheText) {
  for (const std::string kind : {"bytes", "chars"}) {
    const auto written = tokenize(kind + ".bin", {"--tokenizer", kind});
    ASSERT_EQ(written.code, 0) << written.error;
    EXPECT_TRUE(written.says("tokens  ")) << written.out; // the bar's line
    const auto text = train(text_, kind + "-text", {"--tokenizer", kind});
    ASSERT_EQ(text.code, 0) << text.error;
    const auto tokens = train(folder_ / (kind + ".bin"), kind + "-tokens");
    ASSERT_EQ(tokens.code, 0) << tokens.error;
    const auto weights = [&](const std::string& run) {
      return folder_.read(run + "/checkpoint-00000004/model.safetensors");
    };
    // The held-out part begins at the same place: of bytes as many as tokens.
    EXPECT_EQ(weights(kind + "-text"), weights(kind + "-tokens"));
  }
}

TEST_F(Tokenize, RunsResumeScoreAndGenerate) {
  ASSERT_EQ(tokenize("a.bin", {"--tokenizer", "chars"}).code, 0);
  ASSERT_EQ(tokenize("b.bin", {"--tokenizer", folder_ / "a.json"}).code, 0);
  EXPECT_EQ(folder_.read("a.bin"), folder_.read("b.bin"));
  const auto run = folder_ / "run";
  const auto trained =
      train(folder_ / "a.bin", "run", {"--valid", folder_ / "b.bin"});
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(trained.says("tokens to learn")) << trained.out;
  const auto moved = program_(
      {"train",
       "--resume",
       run,
       "--steps",
       "5",
       "--data",
       folder_ / "b.bin",
       "--valid",
       folder_ / "a.bin"});
  EXPECT_EQ(moved.code, 0) << moved.error;
  const auto bits = [&](std::vector<std::string> more) {
    std::vector<std::string> words{
        "eval", "--run", run, "--threads", "1", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto scored = program_(words);
    EXPECT_EQ(scored.code, 0) << scored.error;
    return nlohmann::json::parse(scored.out)["bits_per_byte"].get<double>();
  };
  EXPECT_EQ(bits({}), bits({"--data", text_}));
  EXPECT_EQ(bits({}), bits({"--data", folder_ / "a.bin"}));
  const auto generated =
      program_({"generate", "--run", run, "--prompt", "line", "--tokens", "4"});
  EXPECT_EQ(generated.code, 0) << generated.error;

  ASSERT_EQ(tokenize("c.bin", {"--max-bytes", "3000"}).code, 0);
  const auto other =
      program_({"eval", "--run", run, "--data", folder_ / "c.bin"});
  EXPECT_TRUE(other.complains("another vocabulary")) << other.error;
  auto changed = folder_.read("a.bin");
  changed[100] = changed[100] == 1 ? 2 : 1;
  folder_.write("a.bin", changed);
  EXPECT_TRUE(program_({"train", "--resume", run, "--steps", "6"})
                  .complains("when the run began"));
}

TEST_F(Tokenize, TakesNumbersOfOthers) {
  std::string bytes;
  for (int i = 0; i < 2000; ++i) {
    bytes += static_cast<char>(i * 7 % 251);
    bytes += static_cast<char>(i % 3);
  }
  const auto data = folder_.write("gpt/train.bin", bytes);
  folder_.write("gpt/tokens.json", R"({"dtype": "uint16", "vocab_size": 768})");
  const auto trained = train(data, "run");
  ASSERT_EQ(trained.code, 0) << trained.error;
  const auto generated = program_(
      {"generate",
       "--run",
       folder_ / "run",
       "--prompt",
       "12 700",
       "--tokens",
       "3"});
  EXPECT_EQ(generated.code, 0) << generated.error;
  EXPECT_TRUE(
      program_({"generate", "--run", folder_ / "run", "--prompt", "768"})
          .complains("0 to 767"));
  // A number that the vocabulary does not have.
  folder_.write("gpt/tokens.json", R"({"dtype": "uint16", "vocab_size": 300})");
  EXPECT_TRUE(train(data, "other").complains("allowed are 0 to"));
}

TEST_F(Tokenize, ReadsPipesOnce) {
  const auto piped = [&](const std::string& out, const std::string& kind) {
    return program_.finish(program_.start(
        {"-c",
         "cat \"$1\" | \"$2\" tokenize --data /dev/stdin --tokenizer \"$4\" "
         "--out \"$3\"",
         "sh",
         text_,
         Program::path(),
         folder_ / out,
         kind},
        "",
        "/bin/sh"));
  };
  const auto written = piped("a.bin", "bytes");
  ASSERT_EQ(written.code, 0) << written.error;
  EXPECT_EQ(folder_.read("a.bin").size(), 2 * folder_.read("text.txt").size());
  EXPECT_TRUE(piped("b.bin", "chars").complains("reads the text twice"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b.bin"));
}

TEST_F(Tokenize, RefusesWhatItCannotWrite) {
  EXPECT_TRUE(tokenize("a.txt").complains("must end in .bin"));
  EXPECT_TRUE(tokenize("a.bin", {"--vocab-size", "500"})
                  .complains("is for --tokenizer sentencepiece"));
  EXPECT_TRUE(tokenize("a.bin", {"--tokenizer", "words"})
                  .complains("there are bytes, chars and sentencepiece"));
  EXPECT_TRUE(tokenize("a.bin", {"--dtype", "int32"})
                  .complains("there are uint8, uint16 and uint32"));
  const auto hugging = folder_.write("t.json", R"({"added_tokens": []})");
  EXPECT_TRUE(
      tokenize("a.bin", {"--tokenizer", hugging}).complains("Hugging Face"));
  ASSERT_EQ(tokenize("a.bin").code, 0);
  EXPECT_TRUE(tokenize("a.bin").complains("is there already"));
  EXPECT_TRUE(train(folder_ / "a.bin", "run", {"--tokenizer", "chars"})
                  .complains("are bytes"));
  EXPECT_TRUE(
      train(folder_ / "a.bin", "run", {"--valid", text_}).complains("is none"));
}

/// Memory must not grow with the text.
TEST_F(Tokenize, NeedsNoMoreMemoryForALargeText) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#endif
  const auto measure = [&](int64_t megabytes) {
    const auto name = std::to_string(megabytes);
    const auto path = folder_.write(name + ".txt", "");
    std::ofstream out(path, std::ios::binary);
    const auto text = folder_.read("text.txt");
    for (int64_t size = 0; size < megabytes << 20;
         size += static_cast<int64_t>(text.size())) {
      out << text;
    }
    out.close();
    const auto written = program_(
        {"tokenize", "--data", path, "--out", folder_ / (name + ".bin")});
    EXPECT_EQ(written.code, 0) << written.error;
    const auto trained = program_(tiny(
        {"--data",
         folder_ / (name + ".bin"),
         "--valid-fraction",
         "0",
         "--batch",
         "8",
         "--steps",
         "40",
         "--out",
         folder_ / name}));
    EXPECT_EQ(trained.code, 0) << trained.error;
    return std::pair(written.peak_bytes, trained.peak_bytes);
  };
  const auto small = measure(1), large = measure(96);
  const int64_t more = 48 << 20; // tokens of the large one: 192 MiB
  EXPECT_LT(large.first, small.first + more);
  EXPECT_LT(large.second, small.second + more);
}

} // namespace
} // namespace signalllm
