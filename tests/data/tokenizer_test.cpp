#include <signalllm/data/tokenizer.h>

#include "messages.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <string>

namespace signalllm::data {
namespace {

TEST(Tokenizer, BytesTakeAnything) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  const ByteTokenizer bytes;
  const auto tokens = bytes.encode(all);
  EXPECT_TRUE(tokens.equal(at::arange(256, at::kByte)));
  EXPECT_EQ(bytes.decode(tokens), all);
  EXPECT_EQ(bytes.decode(tokens.to(at::kLong).view({16, 16})), all);
  EXPECT_EQ(bytes.token_bytes().sum().item<int64_t>(), 256);
  EXPECT_EQ(bytes.encode("").numel(), 0);
}

TEST(Tokenizer, CharactersAreNumberedByCodePoint) {
  const std::string text = "b\u00e9a\u20ac\U0001F600a\n";
  const CharTokenizer chars(text);
  EXPECT_EQ(chars.vocab_size(), 6);
  const auto tokens = chars.encode(text);
  EXPECT_EQ(tokens.scalar_type(), at::kByte);
  EXPECT_TRUE(tokens.equal(at::tensor({2, 3, 1, 4, 5, 1, 0}, at::kByte)));
  EXPECT_EQ(chars.decode(tokens), text);
  // \n a b, then 2, 3 and 4 bytes of UTF-8.
  EXPECT_TRUE(
      chars.token_bytes().equal(at::tensor({1, 1, 1, 2, 3, 4}, at::kLong)));
}

TEST(Tokenizer, ManyCharactersNeedAWiderType) {
  std::string text;
  for (int i = 0; i < 600; ++i) { // two bytes each: U+0080 on
    const int code = 0x80 + i;
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
  const CharTokenizer chars(text);
  const auto tokens = chars.encode(text);
  EXPECT_EQ(chars.vocab_size(), 600);
  EXPECT_EQ(tokens.scalar_type(), at::kInt);
  EXPECT_TRUE(tokens.equal(at::arange(600, at::kInt)));
  EXPECT_EQ(chars.decode(tokens), text);
}

TEST(Tokenizer, UnknownCharacterIsNamed) {
  const CharTokenizer chars("abc");
  const auto message = message_of([&] { chars.encode("ab\u20acc"); });
  EXPECT_TRUE(contains(message, "'\u20ac' (U+20AC) at offset 2")) << message;
}

TEST(Tokenizer, MalformedUtf8IsRefused) {
  const char* bad[] = {
      "\x80", // a continuation first
      "\xC0\x80", // overlong
      "\xE0\x80\x80",
      "\xED\xA0\x80", // a surrogate
      "\xF4\x90\x80\x80", // beyond U+10FFFF
      "\xF5\x80\x80\x80",
      "\xE2\x82", // cut off
      "\xE2\x28\xA1"};
  for (const auto* text : bad) {
    const auto message =
        message_of([&] { CharTokenizer(std::string_view(text)); });
    EXPECT_TRUE(contains(message, "not UTF-8")) << message;
    EXPECT_TRUE(contains(message, "bytes tokenizer")) << message;
  }
}

TEST(Tokenizer, JsonRoundTrip) {
  const std::string text = std::string("\0\"\\\n", 4) + "x\u20ac";
  for (const auto* kind : {"bytes", "chars"}) {
    const auto before = make_tokenizer(kind, text);
    const auto after = Tokenizer::from_json(before->to_json());
    EXPECT_EQ(after->kind(), kind);
    EXPECT_EQ(after->vocab_size(), before->vocab_size());
    EXPECT_EQ(after->decode(before->encode(text)), text);
  }
  for (const auto* json :
       {"",
        "{",
        "[]",
        "{}",
        R"({"kind": "words"})",
        R"({"kind": "chars"})",
        R"({"kind": "numbers"})"}) {
    EXPECT_THROW(Tokenizer::from_json(json), c10::Error) << json;
  }
}

TEST(Tokenizer, NumbersStandForThemselves) {
  const NumberTokenizer numbers(300);
  const auto tokens = numbers.encode(" 12\n299  0 ");
  EXPECT_TRUE(tokens.to(at::kLong).equal(at::tensor({12, 299, 0})));
  EXPECT_EQ(numbers.decode(tokens), "12 299 0 ");
  EXPECT_EQ(numbers.encode("").numel(), 0);
  EXPECT_EQ(Tokenizer::from_json(numbers.to_json())->vocab_size(), 300);
  for (const auto* text : {"300", "-1", "a", "1.5", "12a"}) {
    const auto message = message_of([&] { numbers.encode(text); });
    EXPECT_TRUE(contains(message, "0 to 299")) << message;
  }
}

TEST(Tokenizer, WrongUseIsRefused) {
  const auto message = message_of([] { make_tokenizer("words", "a"); });
  EXPECT_TRUE(contains(message, "bytes, chars and sentencepiece")) << message;
  EXPECT_THROW(make_tokenizer("chars", ""), c10::Error);
  const CharTokenizer chars("abc");
  EXPECT_THROW(chars.decode(at::tensor({3})), c10::Error);
  EXPECT_THROW(chars.decode(at::tensor({-1})), c10::Error);
}

} // namespace
} // namespace signalllm::data
