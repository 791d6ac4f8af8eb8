#pragma once

#include <signalllm/data/tokenizer.h>
#include <signalllm/export.h>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace signalllm::training {
class DurableFile;
class MappedFile;
} // namespace signalllm::training

namespace signalllm::data {

/// A file of token numbers and nothing else, as nanoGPT's `prepare.py` writes
/// them, mapped into memory: what is not looked at is not read.
///
/// Beside `book.bin` lies what its numbers mean, `book.json`, or `tokens.json`
/// for all files of the folder:
///
/// ```
/// {"dtype": "uint16", "tokenizer": {"kind": "bytes"}, "tokens": 8, "bytes": 8}
/// ```
///
/// `dtype` is uint8, uint16 or uint32, the first byte the lowest. `tokenizer`
/// is what `Tokenizer::to_json` gives; for numbers whose text is elsewhere
/// `"vocab_size": 50257` stands in its place (`NumberTokenizer`). `tokens`,
/// which is checked, and `bytes`, those of the text, may be left out.
class SIGNALLLM_API TokenFile {
 public:
  /// Throws `c10::Error` naming the file for what is missing or does not fit.
  explicit TokenFile(std::string path);

  const std::string& path() const {
    return path_;
  }
  /// 1-D uint8, uint16 or uint32: a view of the file, which stays mapped for
  /// as long as the tensor lives.
  const at::Tensor& tokens() const {
    return tokens_;
  }
  const std::shared_ptr<Tokenizer>& tokenizer() const {
    return tokenizer_;
  }
  /// Bytes of text behind the tokens; 0 where the JSON does not say.
  int64_t bytes() const {
    return bytes_;
  }
  /// Gives the memory of the pages that were looked at back: it would
  /// otherwise count as this process's until the system is short of it.
  void release() const;

 private:
  std::string path_;
  std::shared_ptr<training::MappedFile> file_;
  at::Tensor tokens_;
  std::shared_ptr<Tokenizer> tokenizer_;
  int64_t bytes_ = 0;
};

/// Whether `path` ends in `.bin` and has the JSON of a `TokenFile` beside it.
SIGNALLLM_API bool is_token_file(const std::string& path);

/// Writes a `TokenFile` and its JSON piece by piece. Neither is there under its
/// name before `finish`; the JSON comes last.
class SIGNALLLM_API TokenWriter {
 public:
  /// `dtype` "uint8", "uint16" or "uint32"; "" takes uint16, as nanoGPT does,
  /// or uint32 for more than 65,536 tokens. Throws where the file is there
  /// already, does not end in `.bin`, or the vocabulary does not fit.
  TokenWriter(
      std::string path,
      std::shared_ptr<Tokenizer> tokenizer,
      std::string dtype = "");
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  void add(std::string_view text);
  void finish();

  /// What the constructor checks of the name.
  static void check_name(const std::string& path);

  int64_t tokens() const {
    return tokens_;
  }
  const std::string& dtype() const {
    return dtype_;
  }

 private:
  std::string path_;
  std::shared_ptr<Tokenizer> tokenizer_;
  std::string dtype_;
  std::unique_ptr<training::DurableFile> file_;
  int64_t tokens_ = 0, bytes_ = 0;
};

} // namespace signalllm::data
