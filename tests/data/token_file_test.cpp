#include <signalllm/data/token_file.h>

#include "temporary_folder.h"

#include "messages.h"

#include <signalllm/data/windows.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace signalllm::data {
namespace {

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {
      reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// 0, 1, ..., 99, as any dtype.
template <typename T>
std::string counted() {
  std::vector<T> values(100);
  for (int i = 0; i < 100; ++i) {
    values[i] = static_cast<T>(i);
  }
  return raw(values);
}

TEST(TokenFile, ReadsEveryWidth) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& dtype, const std::string& bytes) {
    folder.write(
        dtype + ".json", R"({"dtype": ")" + dtype + R"(", "vocab_size": 100})");
    return TokenFile(folder.write(dtype + ".bin", bytes));
  };
  for (const auto& file :
       {read("uint8", counted<uint8_t>()),
        read("uint16", counted<uint16_t>()),
        read("uint32", counted<uint32_t>())}) {
    EXPECT_TRUE(file.tokens().to(at::kLong).equal(at::arange(100)));
    EXPECT_EQ(file.tokenizer()->vocab_size(), 100);
    EXPECT_EQ(file.bytes(), 0);
  }
}

TEST(TokenFile, WindowsOfItAreThoseOfTheNumbers) {
  TemporaryFolder folder;
  folder.write("a.json", R"({"dtype": "uint16", "vocab_size": 65536})");
  const auto bytes = raw<uint16_t>({65535, 1, 40000, 3, 32768, 5, 6, 7});
  at::Tensor tokens;
  {
    const TokenFile file(folder.write("a.bin", bytes));
    tokens = file.tokens();
    file.release();
  } // the tensor keeps it mapped
  const std::vector<int64_t> numbers{65535, 1, 40000, 3, 32768, 5, 6, 7};
  const auto expected = at::tensor(numbers);
  const auto same = [](const Batch& a, const Batch& b) {
    return a.inputs.equal(b.inputs) && a.targets.equal(b.targets);
  };
  EXPECT_TRUE(same(
      RandomWindows(tokens, 3, 5).rows(2, 9),
      RandomWindows(expected, 3, 5).rows(2, 9)));
  EXPECT_TRUE(same(
      ConsecutiveWindows(tokens, 3).rows(0, 2),
      ConsecutiveWindows(expected, 3).rows(0, 2)));
}

TEST(TokenFile, OneDescriptionForAFolder) {
  TemporaryFolder folder;
  const auto path = folder.write("data/train.bin", counted<uint16_t>());
  EXPECT_FALSE(is_token_file(path));
  folder.write("data/tokens.json", R"({"dtype": "uint16", "vocab_size": 100})");
  EXPECT_TRUE(is_token_file(path));
  EXPECT_FALSE(is_token_file(folder.write("data/train.txt", "")));
  EXPECT_EQ(TokenFile(path).tokens().numel(), 100);
}

TEST(TokenFile, WriterAndReaderAgree) {
  TemporaryFolder folder;
  const std::string text = "Ein Bär, ein Bär.\n";
  for (const std::string dtype : {"", "uint8", "uint16", "uint32"}) {
    const auto path = folder / ("text" + dtype + ".bin");
    const auto tokenizer = make_tokenizer("chars", text);
    TokenWriter writer(path, tokenizer, dtype);
    writer.add(text);
    writer.add(text);
    EXPECT_FALSE(is_token_file(path));
    writer.finish();
    const TokenFile file(path);
    EXPECT_EQ(writer.dtype(), dtype.empty() ? "uint16" : dtype);
    EXPECT_EQ(file.tokens().numel(), writer.tokens());
    EXPECT_EQ(file.bytes(), 2 * static_cast<int64_t>(text.size()));
    EXPECT_EQ(file.tokenizer()->decode(file.tokens()), text + text);
    EXPECT_EQ(file.tokenizer()->to_json(), tokenizer->to_json());
  }
}

TEST(TokenFile, LeavesNothingUnfinished) {
  TemporaryFolder folder;
  {
    TokenWriter writer(folder / "a.bin", std::make_shared<ByteTokenizer>());
    writer.add("some text");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TokenFile, WhatDoesNotFitIsNamed) {
  TemporaryFolder folder;
  const auto says = [&](const std::string& json,
                        const std::string& bytes,
                        const std::string& part) {
    folder.write("a.json", json);
    const auto path = folder.write("a.bin", bytes);
    const auto message = message_of([&] { TokenFile{path}; });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says("[]", "ab", "object");
  says(R"({"dtype": "int8", "vocab_size": 9})", "ab", "'int8'; there are");
  says(R"({"dtype": "uint16", "vocab_size": 9})", "abc", "3 bytes");
  says(R"({"dtype": "uint16", "vocab_size": 9})", "", "0 bytes");
  says(
      R"({"dtype": "uint8", "vocab_size": 9, "tokens": 3})",
      "ab",
      "uint8 and 3 tokens");
  says(R"({"dtype": "uint8", "vocab_size": 300})", "ab", "does not fit uint8");
  says(R"({"dtype": "uint8", "vocab_size": 0})", "ab", "vocab_size is 0");
  says(R"({"dtype": "uint8"})", "ab", "one of tokenizer and vocab_size");
  says(R"({"dtype": "uint8", "vocab": 1})", "ab", "unknown key 'vocab'");
  says(R"({"dtype": 8, "vocab_size": 9})", "ab", "dtype must be a text");
  says(
      R"({"dtype": "uint8", "tokenizer": {"kind": "runes"}})",
      "ab",
      "Tokenizer::from_json");
  const auto refused = [&](const std::string& name, const std::string& dtype) {
    return message_of([&] {
      TokenWriter(folder / name, std::make_shared<ByteTokenizer>(), dtype);
    });
  };
  EXPECT_NE(refused("a.bin", "").find("is there already"), std::string::npos);
  EXPECT_NE(refused("b.txt", "").find("end in .bin"), std::string::npos);
  EXPECT_NE(refused("b.bin", "int").find("there are uint8"), std::string::npos);
}

} // namespace
} // namespace signalllm::data
