#include <signalllm/data/text_pieces.h>

#include "messages.h"
#include "temporary_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace signalllm::data {
namespace {

std::vector<std::string> pieces_of(const CorpusOptions& options) {
  TextPieces pieces(options);
  std::vector<std::string> all;
  for (std::string piece; pieces.next(piece);) {
    all.push_back(piece);
  }
  EXPECT_EQ(pieces.bytes_read(), pieces.bytes_total());
  return all;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string text;
  for (const auto& piece : pieces) {
    text += piece;
  }
  return text;
}

TEST(TextPieces, EndBehindLines) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 200000; ++i) {
    text += "line " + std::to_string(i) + "\n";
  }
  const auto pieces = pieces_of(folder.write("lines.txt", text));
  EXPECT_EQ(joined(pieces), text);
  ASSERT_GE(pieces.size(), 2u);
  for (const auto& piece : pieces) {
    EXPECT_TRUE(piece.ends_with("\n"));
    EXPECT_LE(piece.size(), std::size_t{1} << 21);
  }
}

TEST(TextPieces, DoNotCutCharacters) {
  TemporaryFolder folder;
  std::string text = "x";
  while (text.size() < 3 << 20) {
    text += "\xE2\x82\xAC"; // one line of euro signs
  }
  const auto pieces = pieces_of(folder.write("line.txt", text));
  EXPECT_EQ(joined(pieces), text);
  ASSERT_GE(pieces.size(), 3u);
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    EXPECT_TRUE(pieces[i].starts_with("\xE2"));
  }
}

TEST(TextPieces, FilesOfAFolderInOrder) {
  TemporaryFolder folder;
  folder.write("b.txt", "\xEF\xBB\xBFsecond");
  folder.write("a/c.txt", "first");
  folder.write("d.txt", "");
  folder.write("e.png", "no text");
  EXPECT_EQ(
      pieces_of(folder.path()), (std::vector<std::string>{"first", "second"}));
}

TEST(TextPieces, LimitAndFaults) {
  TemporaryFolder folder;
  const auto path = folder.write("a.txt", "abc\xC3\xA4\xC3\xA4");
  EXPECT_EQ(
      pieces_of(CorpusOptions(path).max_bytes(6)),
      (std::vector<std::string>{"abc\xC3\xA4"}));
  EXPECT_TRUE(contains(
      message_of([&] { TextPieces{folder / "none"}; }), "no such file"));
  const auto packed = folder.write("a.gz", "abc");
  EXPECT_TRUE(
      contains(message_of([&] { pieces_of(packed); }), "is compressed"));
}

} // namespace
} // namespace signalllm::data
