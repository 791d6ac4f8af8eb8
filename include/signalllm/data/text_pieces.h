#pragma once

#include <signalllm/data/corpus.h>
#include <signalllm/export.h>

#include <cstdint>
#include <memory>
#include <string>

namespace signalllm::data {

/// The text of a file, a folder or a pipe piece by piece, so that it need not
/// fit into memory. Of the options it takes `path`, `extensions` and
/// `max_bytes`.
///
/// ```
/// TextPieces pieces("book.txt");
/// for (std::string piece; pieces.next(piece);) count(piece);
/// ```
class SIGNALLLM_API TextPieces {
 public:
  /// Finds the files. Throws `c10::Error` naming the path for what is missing,
  /// here or in `next`, and for what is unreadable or compressed.
  explicit TextPieces(const CorpusOptions& options);
  ~TextPieces();
  TextPieces(const TextPieces&) = delete;
  TextPieces& operator=(const TextPieces&) = delete;

  /// Puts the next piece, of a MiB or less, into `piece`; false behind the
  /// last. A piece ends where a line or a file does, or in a longer line
  /// between two characters. Byte order marks are left out.
  bool next(std::string& piece);

  int64_t bytes_read() const;
  /// Of all files; 0 for a pipe.
  int64_t bytes_total() const;
  /// Files begun.
  int64_t files() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace signalllm::data
