#include <signalllm/data/corpus.h>

#include "messages.h"
#include "temporary_folder.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace signalllm::data {
namespace {

std::string complaint(const CorpusOptions& options) {
  return message_of([&] { read_corpus(options); });
}

TEST(Corpus, TheEndIsHeldOut) {
  const TemporaryFolder folder;
  std::string text(1000, 'a');
  text.replace(900, 100, std::string(100, 'b'));
  const auto path = folder.write("a.bin", text);
  const auto corpus = read_corpus(path);
  EXPECT_EQ(corpus.train, std::string(900, 'a'));
  EXPECT_EQ(corpus.valid, std::string(100, 'b'));
  EXPECT_EQ(corpus.files, 1);
  EXPECT_TRUE(read_corpus(CorpusOptions(path).valid_fraction(0)).valid.empty());
}

TEST(Corpus, CharactersAreNotCutInTwo) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += "\u20ac"; // three bytes
  }
  const auto path = folder.write("a.txt", text);
  for (const double fraction : {0.1, 0.331, 0.5, 0.77}) {
    const auto corpus =
        read_corpus(CorpusOptions(path).valid_fraction(fraction));
    EXPECT_EQ(corpus.train.size() % 3, 0U);
    EXPECT_EQ(corpus.train + corpus.valid, text);
  }
  const auto limited =
      read_corpus(CorpusOptions(path).max_bytes(100).valid_fraction(0));
  EXPECT_EQ(limited.train.size(), 99U);
}

TEST(Corpus, AValidationFileOfItsOwn) {
  const TemporaryFolder folder;
  const auto corpus = read_corpus(CorpusOptions(folder.write("a", "train"))
                                      .valid_path(folder.write("b", "valid")));
  EXPECT_EQ(corpus.train, "train");
  EXPECT_EQ(corpus.valid, "valid");
}

TEST(Corpus, FoldersAreReadInOrder) {
  const TemporaryFolder folder;
  folder.write("b.txt", "2");
  folder.write("a/z.py", "1");
  folder.write("c/c/c.md", "3");
  folder.write("c/picture.png", "no");
  folder.write(".hidden/a.txt", "no");
  folder.write("a/__pycache__/z.py", "no");
  CorpusOptions options(folder.path());
  options.valid_fraction(0);
  const auto corpus = read_corpus(options);
  EXPECT_EQ(corpus.train, "123");
  EXPECT_EQ(corpus.files, 3);
  EXPECT_EQ(read_corpus(options.extensions({".md"})).train, "3");
  EXPECT_EQ(read_corpus(options.extensions({"*"})).train, "123no");
}

TEST(Corpus, ASampleOfAFolderIsWholeFilesAndAlwaysTheSame) {
  const TemporaryFolder folder;
  for (char name = 'a'; name <= 'z'; ++name) {
    folder.write(std::string(1, name) + ".txt", std::string(10, name));
  }
  const auto options =
      CorpusOptions(folder.path()).max_bytes(105).valid_fraction(0);
  const auto text = read_corpus(options).train;
  EXPECT_EQ(text.size(), 100U);
  EXPECT_EQ(read_corpus(options).train, text);
  EXPECT_FALSE(std::is_sorted(text.begin(), text.end()));
}

TEST(Corpus, WhatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  const auto expect = [](const CorpusOptions& options, const char* part) {
    const auto message = complaint(options);
    EXPECT_TRUE(contains(message, part)) << message;
    EXPECT_TRUE(contains(message, options.path())) << message;
  };
  expect(folder / "none.txt", "no such file");
  expect(folder.write("empty.txt", ""), "is empty");
  expect(folder.write("x.txt.xz", "zzz"), "xz -dk");
  expect(folder.write("x.gz", "zzz"), "gunzip");
  expect(
      folder.write(
          "renamed",
          std::string(
              "\xFD"
              "7zXZ\0...",
              9)),
      "xz");
  folder.write("sub/a.png", "x");
  expect(folder / "sub", "no files to read");
  EXPECT_TRUE(contains(complaint(std::string()), "the path is empty"));
  const auto good = CorpusOptions(folder.write("a", "text"));
  EXPECT_TRUE(
      contains(complaint(CorpusOptions(good).valid_fraction(1)), "below 1"));
  EXPECT_TRUE(contains(
      complaint(CorpusOptions(good).valid_path(folder / "no")),
      "no such file"));
}

TEST(Corpus, DropsByteOrderMarks) {
  TemporaryFolder folder;
  folder.write(
      "a.txt",
      "\xEF\xBB\xBF"
      "first\n");
  folder.write(
      "b.txt",
      "\xEF\xBB\xBF"
      "second\n");
  const auto read = [&](const std::string& path) {
    return data::read_corpus(data::CorpusOptions(path).valid_fraction(0)).train;
  };
  EXPECT_EQ(read(folder / "a.txt"), "first\n");
  EXPECT_EQ(read(folder.path()), "first\nsecond\n");
}

} // namespace
} // namespace signalllm::data
