#pragma once

#include "app/settings.h"

#include <signalllm/data/corpus.h>
#include <signalllm/data/token_file.h>
#include <signalllm/data/tokenizer.h>
#include <signalllm/training/checkpoint.h>

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace signalllm::app {

/// What a run learns and is judged on, as text in memory or as token files,
/// which stay on the disk.
struct RunText {
  data::Corpus corpus; // of token files only their number
  std::vector<data::TokenFile> token_files;
  std::shared_ptr<data::Tokenizer> tokenizer;
  at::Tensor train, valid; // tokens

  /// Makes the tokens. `known` is the run's tokenizer where there is one; else
  /// it is made of the text, or the token file's.
  void tokenize(
      const Settings& settings,
      std::shared_ptr<data::Tokenizer> known = nullptr);

  /// Of the tokens to learn, on average.
  double bytes_per_token() const;
  /// "book.txt: 1,000 bytes to learn, 100 held out (1 file)".
  std::string describe(const Settings& settings) const;
  /// Gives the memory of the token files' pages back.
  void release() const;
};

/// Reads what `--data` and `--valid` name; token files have their tokens then.
RunText read_run_text(const Settings& settings);

/// Writes into the run's folder what its text was, as sizes and a checksum
/// (of large token files that of 4 KiB in every of 1,024 parts): the text may
/// move, but must not change while a run goes on.
void record_text(const training::RunFolder& folder, const RunText& text);

/// What the record says of a text, on a line: the same where the texts are.
std::string fingerprint(const RunText& text);

/// Whether the folder has such a record; runs of older programs do not.
bool has_text_record(const training::RunFolder& folder);

/// Throws where the text is not the one recorded. `path` is where it was read
/// and `remedy` what can be done, both for the message.
void check_text(
    const training::RunFolder& folder,
    const RunText& text,
    const std::string& path,
    const std::string& remedy);

} // namespace signalllm::app
