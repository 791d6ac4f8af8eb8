#include "app/command.h"
#include "app/command_line.h"
#include "app/progress.h"
#include "app/settings.h"

#include <signalllm/data/text_pieces.h>
#include <signalllm/data/token_file.h>
#include <signalllm/training/interrupt.h>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <vector>

namespace signalllm::app {
namespace {

constexpr const char* tokenize_examples =
    "  signalllm tokenize --data book.txt --out book.bin\n"
    "  signalllm tokenize --data src/ --extensions \".cpp .h\" --tokenizer "
    "sentencepiece --vocab-size 8000 --out src.bin\n"
    "  signalllm tokenize --data valid.txt --tokenizer src.json --out "
    "valid.bin\n"
    "  zcat dump.gz | signalllm tokenize --data /dev/stdin --out dump.bin\n"
    "  signalllm train --data book.bin\n";

/// Text that a tokenizer learns from: all of a small one, pieces from all over
/// a large one.
constexpr int64_t learned_bytes = 1 << 24;

data::CorpusOptions corpus_of(
    const std::string& data,
    const std::string& extensions,
    int64_t max_bytes) {
  TORCH_CHECK(!data.empty(), "no text: --data names a file or folder");
  std::vector<std::string> endings;
  std::istringstream words(extensions);
  for (std::string word; words >> word;) {
    endings.push_back(word == "*" || word.starts_with('.') ? word : "." + word);
  }
  return data::CorpusOptions(data).extensions(endings).max_bytes(max_bytes);
}

/// Goes through the text with a bar; `take` gets every piece. Throws where the
/// user interrupts.
template <typename Take>
void for_each_piece(
    const data::CorpusOptions& corpus,
    const std::string& doing,
    const Take& take) {
  const training::InterruptGuard guard;
  data::TextPieces pieces(corpus);
  ByteProgress progress(doing, pieces.bytes_total());
  for (std::string piece; pieces.next(piece);) {
    take(piece);
    progress.update(pieces.bytes_read());
    TORCH_CHECK(
        training::interrupt_signal() == 0,
        "interrupted after ",
        pieces.bytes_read(),
        " bytes; nothing was written");
  }
  progress.finish(pieces.bytes_read());
}

std::shared_ptr<data::Tokenizer> learn_characters(
    const data::CorpusOptions& corpus) {
  std::vector<char32_t> all;
  for_each_piece(corpus, "characters", [&](const std::string& piece) {
    const auto more = data::CharTokenizer(piece).characters();
    std::vector<char32_t> both;
    std::set_union(
        all.begin(),
        all.end(),
        more.begin(),
        more.end(),
        std::back_inserter(both));
    all = std::move(both);
  });
  return std::make_shared<data::CharTokenizer>(std::move(all));
}

std::shared_ptr<data::Tokenizer> learn_pieces(
    const data::CorpusOptions& corpus,
    int64_t vocab_size) {
  const auto total = data::TextPieces(corpus).bytes_total();
  const auto share = std::max<int64_t>(1, total / learned_bytes);
  std::string sample;
  int64_t number = 0;
  for_each_piece(corpus, "sample", [&](const std::string& piece) {
    if (number++ % share == 0) {
      sample += piece;
    }
  });
  fmt::print(
      "learning {} sub-words from {} bytes\n",
      format_count(vocab_size),
      format_count(static_cast<int64_t>(sample.size())));
  std::fflush(stdout);
  return data::SentencePieceTokenizer::train(sample, vocab_size);
}

std::shared_ptr<data::Tokenizer> tokenizer_for(
    const std::string& name,
    const data::CorpusOptions& corpus,
    int64_t vocab_size) {
  if (name == "bytes") {
    return std::make_shared<data::ByteTokenizer>();
  }
  if (name != "chars" && name != "sentencepiece") {
    return data::make_tokenizer(name, "");
  }
  std::error_code ignored;
  TORCH_CHECK(
      std::filesystem::is_regular_file(corpus.path(), ignored) ||
          std::filesystem::is_directory(corpus.path(), ignored),
      "--tokenizer ",
      name,
      " reads the text twice, and --data ",
      corpus.path(),
      " is no file or folder; a tokenizer that is there already reads it once");
  return name == "chars" ? learn_characters(corpus)
                         : learn_pieces(corpus, vocab_size);
}

} // namespace

int run_tokenize(const Words& words) {
  std::string text, extensions, out, tokenizer_name = "bytes", dtype;
  int64_t max_bytes = 0, vocab_size = default_vocab_size;
  CommandLine line(
      "tokenize",
      "Writes a text's token numbers into a file that train maps into memory,\n"
      "so that the text may be larger than it.",
      tokenize_examples);
  const auto* group = "Options";
  line.add(group, "data", text, "a file, a folder of them, or a pipe");
  line.add(
      group,
      "extensions",
      extensions,
      "in a folder, only files with these endings (\".txt .md\"; * for all)");
  line.add(group, "max-bytes", max_bytes, "read no more than this; 0 for all");
  line.add(
      group,
      "tokenizer",
      tokenizer_name,
      "bytes, chars, sentencepiece, or a file: a .model, a tokenizer.json, the "
      ".json beside a token file");
  line.add(
      group, "vocab-size", vocab_size, "sub-words that sentencepiece learns");
  line.add(
      group,
      "dtype",
      dtype,
      "uint8, uint16 or uint32; default: uint16, or uint32 where it must be");
  line.add(group, "out", out, "the file, NAME.bin; NAME.json gets the rest");
  if (const auto code = line.parse(words)) {
    return *code;
  }
  const auto corpus = corpus_of(text, extensions, max_bytes);
  TORCH_CHECK(!out.empty(), "no file to write: --out names one, NAME.bin");
  data::TokenWriter::check_name(out); // before a long reading
  TORCH_CHECK(
      tokenizer_name == "sentencepiece" || !line.given("vocab-size"),
      "--vocab-size is for --tokenizer sentencepiece, not for ",
      tokenizer_name);
  const auto tokenizer = tokenizer_for(tokenizer_name, corpus, vocab_size);
  data::TokenWriter writer(out, tokenizer, dtype);
  for_each_piece(
      corpus, "tokens", [&](const std::string& piece) { writer.add(piece); });
  writer.finish();
  fmt::print(
      "{}: {} tokens of {} ({}, {})\nnext: signalllm train --data {}\n",
      out,
      format_count(writer.tokens()),
      format_count(tokenizer->vocab_size()),
      tokenizer->kind(),
      writer.dtype(),
      out);
  return 0;
}

} // namespace signalllm::app
