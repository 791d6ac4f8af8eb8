#include <signalllm/data/tokenizer.h>

#include "messages.h"
#include "temporary_folder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <string>

namespace signalllm::data {
namespace {

/// Words of a small language, with all that is easily lost: several spaces,
/// tabs, empty lines, characters that are rare.
std::string some_text() {
  const std::string words[] = {
      "wave",
      "let",
      "filter",
      "the",
      "of",
      "sig",
      "nal",
      "\xC3\xBC"
      "ber"};
  std::string text;
  unsigned state = 1;
  for (int i = 0; i < 4000; ++i) {
    state = state * 1664525 + 1013904223;
    text += words[state >> 29];
    if (state >> 28 & 1) { // else the word goes on
      text += state >> 25 & 7 ? " " : "  \n\n\t";
    }
  }
  return text + "\xE2\x82\xAC\n";
}

class SentencePiece : public testing::Test {
 protected:
  void SetUp() override {
    text_ = some_text();
    try {
      tokenizer_ = SentencePieceTokenizer::train(text_, 400);
    } catch (const c10::Error& error) {
      const std::string message = error.what_without_backtrace();
      if (contains(message, "this build does without it")) {
        GTEST_SKIP() << message;
      }
      throw;
    }
  }

  std::string text_;
  std::shared_ptr<SentencePieceTokenizer> tokenizer_;
};

TEST_F(SentencePiece, GivesEveryTextBack) {
  for (const std::string& text :
       {text_,
        std::string("  a\r\n\tb  c \n"),
        std::string("\xF0\x9F\x90\xBB never seen"),
        std::string(),
        std::string(1, '\0')}) {
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
  }
}

TEST_F(SentencePiece, TakesFewerTokensThanBytes) {
  const auto tokens = tokenizer_->encode(text_);
  EXPECT_LT(tokens.numel() * 2, static_cast<int64_t>(text_.size()));
  EXPECT_LE(tokenizer_->vocab_size(), 400);
  EXPECT_GT(tokenizer_->vocab_size(), 257);
  const auto bytes =
      tokenizer_->token_bytes().index_select(0, tokens.to(at::kLong));
  EXPECT_EQ(bytes.sum().item<int64_t>(), static_cast<int64_t>(text_.size()));
}

TEST_F(SentencePiece, LongTextsInParts) {
  std::string longer;
  while (longer.size() < 300000) {
    longer += text_;
  }
  EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(longer)), longer);
  const auto half = text_.find('\n', text_.size() / 2) + 1;
  const auto parts = at::cat(
      {tokenizer_->encode(text_.substr(0, half)),
       tokenizer_->encode(text_.substr(half))});
  EXPECT_EQ(tokenizer_->decode(parts), text_);
}

TEST_F(SentencePiece, SameTextSameModelAndJsonKeepsIt) {
  EXPECT_EQ(
      SentencePieceTokenizer::train(text_, 400)->to_json(),
      tokenizer_->to_json());
  const auto back = Tokenizer::from_json(tokenizer_->to_json());
  EXPECT_EQ(back->kind(), "sentencepiece");
  EXPECT_TRUE(back->encode(text_).equal(tokenizer_->encode(text_)));
  TemporaryFolder folder;
  const auto path = folder.write(
      "a.json", R"({"dtype": "uint16", "tokenizer": )" + back->to_json() + "}");
  EXPECT_EQ(read_tokenizer(path)->to_json(), back->to_json());
}

TEST_F(SentencePiece, RefusesWhatIsNoTextOrModel) {
  EXPECT_TRUE(
      contains(message_of([&] { tokenizer_->encode("a\x80"); }), "UTF-8"));
  EXPECT_TRUE(contains(
      message_of([&] { tokenizer_->decode(at::full({1}, 100000)); }),
      "100000"));
  EXPECT_TRUE(contains(
      message_of([&] { SentencePieceTokenizer::train(text_, 256); }),
      "vocab_size is 256"));
  EXPECT_TRUE(contains(
      message_of([&] { SentencePieceTokenizer("no model"); }),
      "cannot load the model"));
  EXPECT_TRUE(contains(
      message_of([] {
        Tokenizer::from_json(R"({"kind": "sentencepiece", "model": "?"})");
      }),
      "not base64"));
}

} // namespace
} // namespace signalllm::data
