#include <signalllm/data/corpus.h>

#include "data/utf8.h"

#include <signalllm/data/text_pieces.h>

#include <c10/util/Exception.h>

#include <cstddef>

namespace signalllm::data {
namespace {

std::string whole_text(const CorpusOptions& options, int64_t& files) {
  TextPieces pieces(options);
  std::string text;
  text.reserve(static_cast<std::size_t>(pieces.bytes_total()));
  for (std::string piece; pieces.next(piece);) {
    text += piece;
  }
  files += pieces.files();
  TORCH_CHECK(
      !text.empty(),
      "read_corpus: ",
      options.path(),
      " is empty; there must be text to learn in it");
  return text;
}

} // namespace

Corpus read_corpus(const CorpusOptions& options) {
  const double fraction = options.valid_fraction();
  TORCH_CHECK(
      fraction >= 0 && fraction < 1,
      "read_corpus: valid_fraction is ",
      fraction,
      "; it must be at least 0 and below 1");
  Corpus corpus;
  corpus.train = whole_text(options, corpus.files);
  if (!options.valid_path().empty()) {
    auto valid = options;
    corpus.valid =
        whole_text(valid.path(options.valid_path()).max_bytes(0), corpus.files);
    return corpus;
  }
  const auto length = static_cast<double>(corpus.train.size());
  const auto cut = character_boundary(
      corpus.train, static_cast<std::size_t>(length * (1 - fraction)));
  corpus.valid = corpus.train.substr(cut);
  corpus.train.resize(cut);
  return corpus;
}

} // namespace signalllm::data
